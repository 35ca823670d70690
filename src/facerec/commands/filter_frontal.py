"""Keep the frontal faces of a training set:

    facerec filter_frontal classifier=outputs/frontal/frontal.pt data=folder data.root=FACES keep=0.67

OUT then contains
    kept.txt                  the kept images, one PATH IDENTITY per line, for data.train_list=OUT/kept.txt
    scores.csv                the probability of each image, and whether it is kept
    identities.csv            images per identity, before and after
    threshold.png             a contact sheet of images around the threshold, and of the most and least frontal ones
    histogram.png             the distribution of the probabilities
    filter.json               the settings and the counts
    scores-*.f32              the scores so far, to continue from
An interrupted run continues when it is started again; a run with another threshold reuses the scores. A table goes to
stderr; the last line on stdout is JSON.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from facerec.config.build import build_faces
from facerec.config.compose import compose
from facerec.config.settings import command, run_settings, setting
from facerec.console import log
from facerec.data.readers.train_lists import write_train_list
from facerec.data.source import LabelledSource
from facerec.errors import InputError
from facerec.files import check_output_folder, csv_cell, replacing, write_json
from facerec.frontal.classifier import load_classifier
from facerec.frontal.pictures import scores_figure, section, show_numbers
from facerec.frontal.scoring import Selection, score_images, select
from facerec.plots.contact_sheet import write_contact_sheet
from facerec.plots.network import save_figure
from facerec.process import prepare_process
from facerec.runs.provenance import code_and_environment

PAPERS_FRACTION = 0.67  # arXiv 2203.10489, section 4.1: 329k of 490k images
SHOWN = 40  # images per section


@dataclass
class Settings:
    """Settings:"""

    interrupted = "interrupted: run the same command again to continue, the scores so far are kept"

    classifier: Path = setting("the file frontal.pt that facerec train_frontal wrote")
    keep: float | None = setting("fraction of the images to keep, the most frontal; by default the paper's 0.67", None)
    threshold: float | None = setting("lowest probability to keep, instead of keep", None)
    min_images: int = setting("leave out identities with fewer images left", 1, least=1)
    out: Path = setting("folder for the results", Path("outputs/frontal/kept"))
    overrides: tuple[str, ...] = run_settings("as for train: data=... data.KEY=...", "data")

    def fraction(self) -> float | None:
        """Return the fraction of the images to keep; None if a threshold decides."""
        return PAPERS_FRACTION if self.keep is None and self.threshold is None else self.keep


def filter_images(settings: Settings) -> dict[str, Any]:
    """Score and filter the images, write the files and show the table; returns the content of the JSON line."""
    prepare_process()
    refuse_early(settings)
    classifier, data = load_classifier(settings.classifier), build_faces(compose(list(settings.overrides)))
    source = data.open_train()
    for index in range(len(source)):
        source.reference(index)  # refuses now, not after the scoring, an image that a list cannot name
    logits = score_images(classifier, source, settings.out, data.num_workers or 0)
    name_unreadable(source, logits)
    keep = settings.fraction()
    selection = select(logits, source.labels, threshold=settings.threshold, keep=keep, min_images=settings.min_images)
    if keep and selection.is_frontal.sum() > 1.01 * keep * len(source) + 1:
        log(f"{selection.is_frontal.sum():,} images are kept, more than {keep:.0%}: many have the same score")
    results = {**describe(source, logits, selection), **provenance(source, settings)}
    publish(source, logits, selection, settings.out, results)
    return results


def refuse_early(settings: Settings) -> None:
    """Raise `InputError` before anything is scored."""
    if settings.keep is not None and settings.threshold is not None:
        raise InputError("keep and threshold exclude each other: give one of them")
    for key, value in (("keep", settings.keep), ("threshold", settings.threshold)):
        if value is not None and not 0 < value <= 1:
            raise InputError(f"{key} must be above 0 and at most 1, got {value}")
    check_output_folder(settings.out, f"out={settings.out}")


def name_unreadable(source: LabelledSource, logits: np.ndarray) -> None:
    unreadable = np.flatnonzero(np.isnan(logits))
    if len(unreadable):
        others = f" and {len(unreadable) - 1:,} others" if len(unreadable) > 1 else ""
        log(f"image {source.name(int(unreadable[0]))}{others} cannot be read and is left out: see scores.csv")


def describe(source: LabelledSource, logits: np.ndarray, selection: Selection) -> dict[str, Any]:
    """Return the counts and the threshold."""
    return {
        "images": len(source),
        "unreadable": int(np.isnan(logits).sum()),
        "frontal": int(selection.is_frontal.sum()),
        "kept": int(selection.is_kept.sum()),
        "identities": source.num_identities,
        "identities_kept": len(np.unique(source.labels[selection.is_kept])),
        "threshold": float(expit(selection.threshold)),
    }


def provenance(source: LabelledSource, settings: Settings) -> dict[str, Any]:
    """Return what is needed to reproduce the list."""
    return {
        **{"classifier": str(settings.classifier), "keep": settings.fraction(), "min_images": settings.min_images},
        "list": str(settings.out / "kept.txt"),
        "data": {"settings": list(settings.overrides), "fingerprint": source.fingerprint()},
        **code_and_environment(),
    }


def publish(
    source: LabelledSource, logits: np.ndarray, selection: Selection, out: Path, results: dict[str, Any]
) -> None:
    """Write the files and show the table."""
    probabilities, is_readable = expit(logits.astype(np.float64)), ~np.isnan(logits)
    write_train_list(source, np.flatnonzero(selection.is_kept), out / "kept.txt")
    write_scores(source, probabilities, selection, out / "scores.csv")
    write_identities(source, selection, out / "identities.csv")
    figure = scores_figure(probabilities[is_readable], selection.is_kept[is_readable], results["threshold"])
    save_figure(figure, out / "histogram.png")
    write_page(source, logits, selection, out / "threshold.png")
    write_json(out / "filter.json", results)
    show_numbers(results)


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
        writer.writerows([csv_cell(cell) for cell in row] for row in rows)


def write_page(source: LabelledSource, logits: np.ndarray, selection: Selection, path: Path) -> None:
    """Write a contact sheet of the images just below and just above the threshold, and at both ends."""
    rising = np.argsort(logits, kind="stable")[: int((~np.isnan(logits)).sum())]
    position, shown = int((logits < selection.threshold).sum()), f"{expit(selection.threshold):.3f}"
    left_out = int((selection.is_frontal & ~selection.is_kept).sum())
    above = f"; min_images leaves out {left_out:,} of those above it" if left_out else ""
    parts = {
        "the least frontal": rising[:SHOWN],
        f"just below the threshold of {shown}": rising[max(0, position - SHOWN) : position],
        f"just above the threshold of {shown}{above}": rising[position : position + SHOWN],
        "the most frontal": rising[::-1][:SHOWN],
    }

    def caption(row: int) -> str:
        return f"{source.name(row)}\n{expit(logits[row]):.3f}"

    sections = [section(title, rows, source.load, caption) for title, rows in parts.items()]
    write_contact_sheet(sections, path)


main = command(Settings, filter_images)
