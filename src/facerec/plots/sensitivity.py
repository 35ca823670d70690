"""How well networks do on test images that are misaligned: the affine sensitivity study of the TVConv paper (arXiv
2203.10489). A mask moves with its image."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from facerec.verification.headline import HasHeadline, Headline

TRANSFORMS = ("rotation", "shear", "scale", "translation")
_MARKERS = "os^Dv"
_CHARACTER_WIDTH = 0.075  # inches, in the legend
_WORDS = {"degrees": "degrees", "spread": "of the size", "share": "of the sides"}  # per name of a transform's setting


@dataclass(frozen=True)
class Shift:
    """One of `TRANSFORMS`, drawn at random per image from ``-reach`` to ``reach``, in the ``unit`` after which the
    transform's setting is named."""

    transform: str
    strength: float
    unit: str
    reach: float

    def __str__(self) -> str:
        return f"{self.transform} ± {self.reach:g} {_WORDS[self.unit]}"


@dataclass(frozen=True)
class Measurement:
    """The results of one network by benchmark or domain, on images under a shift; unchanged if ``shift`` is None."""

    network: str
    shift: Shift | None
    results: Mapping[str, HasHeadline]

    def summary(self) -> dict[str, Any]:
        """Return the measurement for `json.dump`."""
        benchmarks = {name: result.summary() for name, result in self.results.items()}
        return {"network": self.network, "shift": self.shift and asdict(self.shift), "benchmarks": benchmarks}


def sensitivity_table(measurements: Sequence[Measurement]) -> Table:
    """Tabulate the headlines in percent ± their standard deviations: one row per shift, one column per benchmark and
    network."""
    one = _any(measurements)
    title = (
        f"{one.name} in percent ± standard deviation over {_numbers(measurements)}{one.parts}, protocol {one.protocol}"
    )
    table = Table("test images, range of the transform", title=title)
    columns = [(name, network) for name in measurements[0].results for network in _networks(measurements)]
    for name, network in columns:
        table.add_column(f"{name}\n{network}", justify="right")
    by_cell = {(m.shift, m.network): m.results for m in measurements}
    for shift in dict.fromkeys(m.shift for m in measurements):
        found = [by_cell[shift, network][name].headline for name, network in columns]
        cells = (f"{100 * headline.value:.2f} ± {100 * headline.deviation:.2f}" for headline in found)
        table.add_row(str(shift or "as they are"), *cells)
    return table


def sensitivity_figure(measurements: Sequence[Measurement]) -> Figure:
    """Plot the headline over the range of the transform: one row of axes per benchmark, one column per transform, one
    line per network. The bars are standard errors."""
    benchmarks, one = list(measurements[0].results), _any(measurements)
    units = {m.shift.transform: m.shift.unit for m in measurements if m.shift}
    longest = _CHARACTER_WIDTH * max(map(len, _networks(measurements)))  # the longest legend entry, in inches
    width = max(3.1 * len(units) + 0.6, longest + 1)
    figure = Figure(figsize=(width, 2.9 * len(benchmarks) + 1.2), layout="constrained")
    axes = figure.subplots(len(benchmarks), len(units), squeeze=False, sharey="row", sharex="col")
    for row, benchmark in zip(axes, benchmarks, strict=True):
        row[0].set_ylabel(f"{benchmark}\n{one.name} (%)")
        for cell, transform in zip(row, units, strict=True):
            _draw(cell, [m for m in measurements if m.shift is None or m.shift.transform == transform], benchmark)
    for top, bottom, (transform, unit) in zip(axes[0], axes[-1], units.items(), strict=True):
        top.set_title(transform)
        bottom.set_xlabel(f"range (± {_WORDS[unit]})")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    title = f"protocol {one.protocol}; bars: standard error over the {one.parts}"
    columns = max(1, min(len(labels), int(width // (longest + 0.8))))
    location = "outside upper center"
    figure.legend(handles, labels, title=title, loc=location, ncols=columns, fontsize="small", title_fontsize="small")
    return figure


def _draw(axes: Axes, measurements: Sequence[Measurement], benchmark: str) -> None:
    for index, network in enumerate(_networks(measurements)):
        points = sorted(_points(measurements, network, benchmark), key=lambda point: point[0])
        axes.errorbar(
            [reach for reach, _ in points],
            [100 * headline.value for _, headline in points],
            yerr=[100 * headline.error for _, headline in points],
            color=f"C{index}",
            marker=_MARKERS[index % len(_MARKERS)],
            markersize=4,
            capsize=2,
            label=network,
        )
    axes.grid(alpha=0.3)


def _points(measurements: Sequence[Measurement], network: str, benchmark: str) -> list[tuple[float, Headline]]:
    chosen = [m for m in measurements if m.network == network]
    return [(m.shift.reach if m.shift else 0.0, m.results[benchmark].headline) for m in chosen]


def _any(measurements: Sequence[Measurement]) -> Headline:
    """Return a headline; all have the same name, parts and protocol."""
    return next(iter(measurements[0].results.values())).headline


def _numbers(measurements: Sequence[Measurement]) -> str:
    """Return the number of the parts, and a space, if it is the same everywhere."""
    numbers = {result.headline.number for result in measurements[0].results.values()}
    return f"{numbers.pop()} " if len(numbers) == 1 else ""


def _networks(measurements: Sequence[Measurement]) -> list[str]:
    return list(dict.fromkeys(m.network for m in measurements))
