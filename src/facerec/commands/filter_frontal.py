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
    scores-*.f32              what is scored, to go on from
A run that is interrupted goes on when it is started again; one with another threshold uses the probabilities that are
there. A table goes to stderr; the last line on stdout is JSON.
"""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from facerec.program import run

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.special import expit

from facerec.config.build import build_data
from facerec.config.compose import compose
from facerec.config.schema import suggestion
from facerec.config.settings import take_own
from facerec.console import log
from facerec.data.source import LabelledSource
from facerec.errors import InputError
from facerec.files import check_output_folder, replacing, write_json
from facerec.frontal.classifier import load_classifier
from facerec.frontal.pictures import scores_figure, section
from facerec.frontal.scoring import Selection, score_images, select
from facerec.plots.contact_sheet import write_contact_sheet
from facerec.plots.network import save_figure
from facerec.process import prepare_process
from facerec.runs.provenance import code_and_environment

_OWN_KEYS = {"classifier": "", "keep": "", "threshold": "", "min_images": "1", "out": "outputs/frontal/kept"}
PAPERS_SHARE = 0.67  # arXiv 2203.10489, section 4.1: 329k of 490k images
SHOWN = 40  # images a section


def main(arguments: list[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0 if arguments else 1
    prepare_process()
    try:
        filter_images(*split(arguments))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: start again to go on, what is scored is kept", file=sys.stderr)
        return 130
    return 0


def filter_images(own: dict[str, Any], overrides: list[str]) -> None:
    check_output_folder(Path(own["out"]), f"out={own['out']}")
    classifier, data = load_classifier(own["classifier"]), build_data(compose(overrides))
    source = data.open_train()
    for index in range(len(source)):
        source.reference(index)  # refuses what no list can hold, now and not after the scoring
    logits = score_images(classifier, source, Path(own["out"]), data.num_workers or 0)
    name_unreadable(source, logits)
    wanted = {key: own[key] for key in ("threshold", "keep", "min_images")}
    selection = select(logits, source.labels, **wanted)
    if own["keep"] and selection.is_frontal.sum() > 1.01 * own["keep"] * len(source) + 1:
        log(f"{selection.is_frontal.sum():,} images are kept and not {own['keep']:.0%}: so many are equally frontal")
    results = {**describe(source, logits, selection), **provenance(source, own, overrides)}
    publish(source, logits, selection, Path(own["out"]), results)


def split(arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    """This program's own settings, and the overrides for the configuration's data."""
    own, overrides = take_own(arguments, _OWN_KEYS)
    for argument in overrides:
        key = argument.partition("=")[0]
        if key.lstrip("+").split(".")[0] != "data":
            raise InputError(f"filter_frontal.py does not take {argument!r}; {suggestion(key, [*own, 'data'])}")
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


def name_unreadable(source: LabelledSource, logits: np.ndarray) -> None:
    unreadable = np.flatnonzero(np.isnan(logits))
    if len(unreadable):
        others = f" and {len(unreadable) - 1:,} others" if len(unreadable) > 1 else ""
        log(f"image {source.name(int(unreadable[0]))}{others} cannot be read and is left out: see scores.csv")


def describe(source: LabelledSource, logits: np.ndarray, selection: Selection) -> dict[str, Any]:
    """The counts."""
    return {
        "images": len(source),
        "unreadable": int(np.isnan(logits).sum()),
        "frontal": int(selection.is_frontal.sum()),
        "kept": int(selection.is_kept.sum()),
        "identities": source.num_identities,
        "identities_kept": len(np.unique(source.labels[selection.is_kept])),
        "threshold": float(expit(selection.threshold)),
    }


def provenance(source: LabelledSource, own: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """What a person needs to make the list again."""
    return {
        **{key: own[key] for key in ("classifier", "keep", "min_images")},
        "list": str(Path(own["out"]) / "kept.txt"),
        "data": {"settings": overrides, "fingerprint": source.fingerprint()},
        **code_and_environment(),
    }


def publish(
    source: LabelledSource, logits: np.ndarray, selection: Selection, out: Path, results: dict[str, Any]
) -> None:
    """Write the files, the table and the line of JSON."""
    probabilities, is_readable = expit(logits.astype(np.float64)), ~np.isnan(logits)
    write_list(source, np.flatnonzero(selection.is_kept), out / "kept.txt")
    write_scores(source, probabilities, selection, out / "scores.csv")
    write_identities(source, selection, out / "identities.csv")
    figure = scores_figure(probabilities[is_readable], selection.is_kept[is_readable], results["threshold"])
    save_figure(figure, out / "histogram.png")
    write_page(source, logits, selection, out / "threshold.png")
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


def write_identities(source: LabelledSource, selection: Selection, path: Path) -> None:
    before = np.bincount(source.labels, minlength=source.num_identities)
    after = np.bincount(source.labels[selection.is_kept], minlength=source.num_identities)
    names = (source.identity_name(label) for label in range(source.num_identities))
    write_csv(path, ["identity", "images", "kept"], zip(names, before, after, strict=True))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_page(source: LabelledSource, logits: np.ndarray, selection: Selection, path: Path) -> None:
    """Images around the threshold, those just below it and those just above, and both ends."""
    rising = np.argsort(logits, kind="stable")[: int((~np.isnan(logits)).sum())]
    place, shown = int((logits < selection.threshold).sum()), f"{expit(selection.threshold):.3f}"
    left_out = int((selection.is_frontal & ~selection.is_kept).sum())
    above = f"; min_images leaves out {left_out:,} of those above it" if left_out else ""
    parts = {
        "the least frontal": rising[:SHOWN],
        f"just below the threshold of {shown}": rising[max(0, place - SHOWN) : place],
        f"just above the threshold of {shown}{above}": rising[place : place + SHOWN],
        "the most frontal": rising[::-1][:SHOWN],
    }

    def caption(row: int) -> str:
        return f"{source.name(row)}\n{expit(logits[row]):.3f}"

    sections = [section(title, rows, source.load, caption) for title, rows in parts.items()]
    write_contact_sheet(sections, path)


def show(results: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False)
    for key, value in results.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            table.add_row(key.replace("_", " "), f"{value:,}" if isinstance(value, int) else f"{value:.4g}")
    Console(stderr=True).print(table)


if __name__ == "__main__":
    run(main)
