"""Keep the frontal faces of a training set, folders or an archive:

    python scripts/filter_frontal.py classifier=outputs/frontal/frontal.pt data=folder data.root=FACES keep=0.67

Beside data=... data.KEY=..., as for train.py, it takes
    classifier=FILE           what scripts/train_frontal.py wrote
    keep=0.67                 share of the images to keep, the most frontal ones (default: the paper's 0.67); or
    threshold=0.5             the least probability to keep
    min_images=N              leave out identities with fewer images left (default: 1)
    out=FOLDER                default: outputs/frontal/kept
OUT then holds
    kept.txt                  the images that are kept, PATH IDENTITY a line, for data.train_list=OUT/kept.txt
    scores.csv                the probability of each image, and whether it is kept
    identities.csv            images of each identity, before and after
    threshold.png             a page of images around the threshold, and of the most and the least frontal ones
    histogram.png             how the probabilities are spread
    filter.json               the settings and the counts
A run that is interrupted goes on when it is started again; one with another threshold uses the probabilities that are
there. A table goes to stderr; the last line on stdout is JSON.
"""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from facerec.build import build_data, compose
from facerec.contact_sheet import write_contact_sheet
from facerec.data.source import LabelledSource
from facerec.errors import InputError
from facerec.frontal.classifier import load_classifier
from facerec.frontal.pictures import scores_figure, section
from facerec.frontal.scoring import score_images
from facerec.frontal.selection import Selection, select
from facerec.plots import save_figure
from facerec.process import prepare_process
from facerec.runs import code_and_environment, replacing, write_json

_OWN_KEYS = {"classifier": "", "keep": "", "threshold": "", "min_images": "1", "out": "outputs/frontal/kept"}
PAPERS_SHARE = 0.67  # arXiv 2203.10489, section 4.1: 329k of 490k images
SHOWN = 40  # images a section


def main(arguments: list[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0 if arguments else 1
    prepare_process()
    try:
        own, overrides = split(arguments)
        classifier, data = load_classifier(own["classifier"]), build_data(compose(overrides))
        source, out = data.open_train(), Path(own["out"])
        probabilities = score_images(classifier, source, out, data.num_workers or 0)
        selection = select(
            probabilities, source.labels, **{key: own[key] for key in ("threshold", "keep", "min_images")}
        )
        publish(source, probabilities, selection, own, overrides)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: start again to go on, the probabilities so far are kept", file=sys.stderr)
        return 130
    return 0


def split(arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    """This program's own settings, and the overrides for the configuration."""
    own, overrides = dict(_OWN_KEYS), []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key in own:
            own[key] = value
        else:
            overrides.append(argument)
    if not own["classifier"]:
        raise InputError("no classifier given: add classifier=FILE, which scripts/train_frontal.py writes")
    if own["keep"] and own["threshold"]:
        raise InputError("keep and threshold both say how many are kept: give one of them")
    share = None if own["threshold"] else _number("keep", own["keep"] or str(PAPERS_SHARE))
    threshold = _number("threshold", own["threshold"]) if own["threshold"] else None
    if not own["min_images"].isdecimal() or int(own["min_images"]) < 1:
        raise InputError(f"min_images must be a whole number of at least 1, got {own['min_images']!r}")
    return {**own, "keep": share, "threshold": threshold, "min_images": int(own["min_images"])}, overrides


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise InputError(f"{key} must be above 0 and at most 1, got {text!r}")
    return value


def publish(
    source: LabelledSource, probabilities: np.ndarray, selection: Selection, own: dict[str, Any], overrides: list[str]
) -> None:
    """Write the files, the table and the line of JSON."""
    out, kept = Path(own["out"]), np.flatnonzero(selection.is_kept)
    before = np.bincount(source.labels, minlength=source.num_identities)
    after = np.bincount(source.labels[kept], minlength=source.num_identities)
    write_list(source, kept, out / "kept.txt")
    write_scores(source, probabilities, selection, out / "scores.csv")
    names = (source.identity_name(label) for label in range(source.num_identities))
    write_csv(out / "identities.csv", ["identity", "images", "kept"], zip(names, before, after, strict=True))
    results = {
        "images": len(source),
        "unreadable": int(np.isnan(probabilities).sum()),
        "frontal": int(selection.is_frontal.sum()),
        "kept": len(kept),
        "identities": source.num_identities,
        "identities_kept": int((after > 0).sum()),
        "threshold": selection.threshold,
        "list": str(out / "kept.txt"),
        **{key: own[key] for key in ("classifier", "keep", "min_images")},
        "data": {"settings": overrides, "fingerprint": source.fingerprint()},
        **code_and_environment(),
    }
    readable = probabilities[~np.isnan(probabilities)]
    save_figure(scores_figure(readable, selection.threshold, f"{len(readable):,} images"), out / "histogram.png")
    write_page(source, probabilities, selection.threshold, out / "threshold.png")
    write_json(out / "filter.json", results)
    show(results)
    print(json.dumps(results))


def write_list(source: LabelledSource, kept: np.ndarray, path: Path) -> None:
    """A tab between image and identity: both may hold spaces."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        for index in kept.tolist():
            file.write(f"{source.reference(index)}\t{source.identity_name(int(source.labels[index]))}\n")


def write_scores(source: LabelledSource, probabilities: np.ndarray, selection: Selection, path: Path) -> None:
    rows = (
        (source.reference(i), source.identity_name(int(source.labels[i])), f"{probabilities[i]:.6f}", int(is_kept))
        for i, is_kept in enumerate(selection.is_kept)
    )
    write_csv(path, ["image", "identity", "probability", "kept"], rows)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_page(source: LabelledSource, probabilities: np.ndarray, threshold: float, path: Path) -> None:
    """Images around the threshold, those just below it and those just above, and both ends."""
    rising = np.argsort(probabilities, kind="stable")[: int((~np.isnan(probabilities)).sum())]
    place = int((probabilities < threshold).sum())
    parts = {
        "the least frontal": rising[:SHOWN],
        f"left out, just below {threshold:.3f}": rising[max(0, place - SHOWN) : place],
        f"kept, just above {threshold:.3f}": rising[place : place + SHOWN],
        "the most frontal": rising[::-1][:SHOWN],
    }

    def caption(row: int) -> str:
        return f"{probabilities[row]:.3f}\n{source.name(row)}"

    sections = [section(title, rows, source.load, caption) for title, rows in parts.items()]
    write_contact_sheet(sections, path)


def show(results: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False)
    for key, value in results.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            table.add_row(key.replace("_", " "), f"{value:,}")
    Console(stderr=True).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
