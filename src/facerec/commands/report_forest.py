"""The figure of kept comparisons."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill

from matplotlib.figure import Figure

from facerec.errors import InputError
from facerec.plots.forest import ForestRow, forest_figure
from facerec.runs.comparison_file import KeptComparison, read_comparison
from facerec.runs.sweep import short_names

_LINE = 44  # characters


def comparisons_figure(files: Sequence[Path]) -> Figure:
    """Draw the differences of comparisons, those of several files under the files' names.

    Raises `InputError` if they are of more than one metric, or if there is no difference in them.
    """
    kept = {file: read_comparison(file) for file in files}
    metrics = list(dict.fromkeys((one.metric, one.unit) for one in kept.values()))
    rows = [row for file, one in kept.items() for row in _rows(one, file.stem if len(files) > 1 else "")]
    if len(metrics) > 1:
        raise InputError(
            f"the comparisons are of {' and of '.join(metric for metric, _ in metrics)}, which have no common scale: "
            "name files of one metric"
        )
    if not rows:
        raise InputError(f"{', '.join(map(str, files))} has no difference to draw: name a comparison that found one")
    return forest_figure(rows, f"{metrics[0][0]} of the first named less that of the second ({metrics[0][1]})")


def _rows(kept: KeptComparison, title: str) -> Iterator[ForestRow]:
    for each in kept.differences:
        yield ForestRow(_label(title, each.first, each.second), each.benchmark, each.value, each.interval, each.p)


def _label(title: str, first: str, second: str) -> str:
    """Return lines: the title, the groups without the words that both have, and these."""
    shorter = short_names([first, second])
    own = shorter[1].split()
    common = " ".join(word for word in second.replace(",", " ").split() if word not in own)
    return "\n".join(filter(None, (title.replace("_", " "), fill(f"{shorter[1]} against {shorter[0]}", _LINE), common)))
