"""Plant defects in a copy of a data set and count which are found: facerec plant_defects data.root=faces

Each defect is planted in a fresh copy in a temporary folder, in a tenth of the images or identities unless its name
says otherwise. A false alarm is a finding of the same check that was not planted and is not reported for the untouched
copy; the findings in the untouched copy are in the last column.
A table goes to stderr; the last line on stdout is a JSON list.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from facerec.config.build import build_faces
from facerec.config.compose import compose
from facerec.config.settings import command, run_settings, setting
from facerec.console import log, terminal
from facerec.data.archives.recordio_writer import pack, writing_records
from facerec.data.datamodule import FaceDataModule
from facerec.data.modules import InsightFaceData
from facerec.data.source import LabelledSource
from facerec.doctor.check import check_data
from facerec.doctor.faces import Embedder, load_embedder
from facerec.errors import InputError
from facerec.files import write_json
from facerec.perf import planted_defects as planting
from facerec.perf.planted_defects import Copy, Planted, again, changed
from facerec.process import prepare_process

Make = Callable[[Path], Copy]


@dataclass
class Settings:
    """Settings:"""

    interrupted = "interrupted: nothing was reported"

    identities: int = setting("number for training, and the same for a benchmark: those with most images", 60, least=1)
    images: int = setting("maximum number per identity", 10, least=1)
    checkpoint: Path | None = setting("a trained network, to also plant wrong labels and people with two names", None)
    trust: bool = setting("also build classes that are not facerec's: only if you trust the checkpoint", False)
    seed: int = setting("seed of the choice of images and identities", 1, least=1)
    out: Path | None = setting("file for the table, as JSON", None, written=True)
    overrides: tuple[str, ...] = run_settings("as for train: data=..., data.root=... and other settings of the data")


def plant(settings: Settings) -> list[dict[str, Any]]:
    """Show the table; returns it for the JSON line."""
    prepare_process()
    source = build_faces(compose(list(settings.overrides))).open_train()
    make = copier(source, settings.identities, settings.images, settings.seed)
    embedder = load_embedder(settings.checkpoint, settings.trust) if settings.checkpoint else None
    outcomes = study(make, embedder)
    results = [asdict(outcome) for outcome in outcomes]
    if settings.out:
        write_json(settings.out, results)
    show(outcomes)
    return results


def copier(source: LabelledSource, identities: int, images: int, seed: int) -> Make:
    """Return a function that writes a fresh copy into a folder, the same every time."""
    counts = np.bincount(source.labels)
    chosen = np.argsort(-counts, kind="stable")[: 2 * identities].tolist()
    if len(chosen) < 2 * identities:
        raise InputError(f"identities={identities} needs twice as many, the training set has {len(counts)}: lower it")
    indices = {label: np.flatnonzero(source.labels == label)[:images].tolist() for label in chosen}
    pixels = {i: source.load(i)[..., ::-1] for some in indices.values() for i in some}

    def make(root: Path) -> Copy:
        copy = Copy(root, np.random.default_rng(seed))
        for label, some in list(indices.items())[::2]:
            for number, i in enumerate(some):
                copy.write(f"train/name_{label}/{number}.jpg", pixels[i], f"name_{label}")
        for label, some in list(indices.items())[1::2]:
            who = f"other_{label}"
            copy.people[who] = [f"{who}/{number:04}.jpg" for number in range(len(some))]
            for name, i in zip(copy.people[who], some, strict=True):
                copy.write(f"known/known/{name}", pixels[i])
        return copy

    return make


class Defect(NamedTuple):
    """A defect to plant, the findings that must report it, and the key of their details that identifies it."""

    name: str
    plant: planting.Plant
    findings: Sequence[str]
    key: str


_TWICE = ("duplicates", "near_duplicates")
_ACROSS = ("duplicates_across_identities", "near_duplicates_across_identities")


def twice(how: str, change: planting.Change, across: bool = False, quality: int = 95) -> Defect:
    """Return the defect that some images are added again, changed, to the same identity or, ``across``, to another."""
    return Defect(f"again, {how}", again(change, across, quality), _ACROSS if across else _TWICE, "images")


DEFECTS = [
    Defect("whole set with red and blue swapped", planting.swap_all, ("swapped_channels",), "part"),
    Defect("red and blue swapped", changed(lambda image: image[..., ::-1]), ("swapped_images",), "image"),
    Defect("same file twice", again(None), ("duplicates",), "images"),
    Defect("same file in two identities", again(None, across=True), ("duplicates_across_identities",), "images"),
    twice("JPEG quality 50", np.array, quality=50),
    twice("in another identity, quality 50", np.array, across=True, quality=50),
    *(twice(f"{factor:g} of the size", planting.scale(factor)) for factor in (0.6, 1.5)),
    *(twice(f"{factor:g} of the brightness", planting.brighten(factor)) for factor in (0.85, 1.15)),
    *(twice(f"{pixels} px cropped all around", planting.crop(pixels)) for pixels in (1, 2, 3, 5)),
    twice("flipped", planting.flip),
    twice("in another identity, flipped", planting.flip, across=True),
    Defect("truncated files", planting.truncate, ("unreadable_images",), "image"),
    Defect("missing files", planting.remove, ("unreadable_images",), "image"),
    Defect("one colour", changed(lambda image: np.full_like(image, 90)), ("flat_images",), "image"),
    Defect("0.8 of the size", changed(planting.scale(0.8)), ("other_sizes",), "image"),
    Defect("black border, 15 % at the top", changed(planting.blacken_top), ("wide_borders",), "image"),
    Defect("grey frame of 15 %", changed(planting.frame_in_grey), ("wide_borders",), "image"),
    Defect("identities with one image", planting.leave_one, ("identities_with_one_image",), "identity"),
    Defect(
        "two spellings of a name",
        planting.rename_half(lambda who: who.upper().replace("_", " ")),
        ("identity_names_alike",),
        "identities",
    ),
    Defect(
        "benchmark's images in training, quality 60",
        planting.images_of_benchmark,
        ("training_images_in_benchmark",),
        "images",
    ),
    Defect("benchmark's names in training", planting.names_of_benchmark, ("training_names_in_benchmark",), "identity"),
]
BY_FACE = [
    Defect("wrong labels, 5 %", planting.relabel, ("mislabelled_images",), "image"),
    Defect("two names", planting.rename_half(lambda who: f"also_{who}"), ("similar_identities",), "identities"),
    Defect("benchmark's people", planting.people_of_benchmark, ("training_faces_in_benchmark",), "identity"),
]


@dataclass(frozen=True)
class Outcome:
    """Counts of one defect: ``planted``, ``missed``, ``false_alarms``, and findings in the ``untouched`` copy."""

    defect: str
    planted: int
    missed: int
    false_alarms: int
    untouched: int


def study(make: Make, embedder: Embedder | None = None) -> list[Outcome]:
    """Plant each defect separately; defects of faces and labels only if there is an ``embedder``."""
    with tempfile.TemporaryDirectory() as folder:
        before = check_all(make(Path(folder)).module(), embedder)
        gaps = leave_classes_out(make(Path(folder)))
    defects = DEFECTS + (BY_FACE if embedder else [])
    outcomes = []
    for number, defect in enumerate(defects, 1):
        log(f"planting {number} of {len(defects)}: {defect.name}")
        outcomes.append(try_defect(defect, make, before, embedder))
    return [*outcomes, gaps]


def check_all(module: FaceDataModule, embedder: Embedder | None) -> list[tuple[str, dict[str, object]]]:
    """Return the name of its finding and its part with each detail."""
    findings = check_data(module, embedder).findings
    return [(finding.name, {"part": finding.part, **detail}) for finding in findings for detail in finding.details]


def try_defect(
    defect: Defect, make: Make, before: list[tuple[str, dict[str, object]]], embedder: Embedder | None
) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        copy = make(Path(folder))
        planted = defect.plant(copy)
        after = check_all(copy.module(), embedder if defect in BY_FACE else None)
    known, found = (named(details, defect.findings, defect.key) for details in (before, after))
    equal = named(before, (*_TWICE, *_ACROSS), "images") if defect.key == "images" else set()
    missed, false_alarms = unexplained(planted, found | equal), unexplained(found, planted | known | equal)
    return Outcome(defect.name, len(planted), missed, false_alarms, len(known))


def unexplained(items: Planted, by: Planted) -> int:
    """Count the ``items`` that are neither in ``by`` nor pairs whose members are connected by it.

    Of three equal images only two pairs are reported, which may be any two.
    """
    groups: dict[str, set[str]] = {}
    for item in by:
        joined = set().union(item, *(groups.get(member, set()) for member in item))
        groups |= dict.fromkeys(joined, joined)
    return sum(not item <= groups.get(min(item), set()) for item in items)


def named(details: list[tuple[str, dict[str, object]]], findings: Sequence[str], key: str) -> Planted:
    """Return what the details of ``findings`` name under ``key``."""
    values = [detail[key] for name, detail in details if name in findings and key in detail]
    return {frozenset(value if isinstance(value, list) else [str(value)]) for value in values}


def leave_classes_out(copy: Copy) -> Outcome:
    """Check an archive that lacks a tenth of the class labels."""
    label = {who: i for i, who in enumerate(copy.identities())}
    gone = {label[who] for who in copy.some_identities()} - {len(label) - 1}
    with tempfile.TemporaryDirectory() as folder:
        with writing_records(Path(folder) / "train.rec") as writer:
            for key, (path, who) in enumerate(row for row in copy.rows.items() if label[row[1]] not in gone):
                writer.write(key, pack(float(label[who]), key, (copy.root / path).read_bytes()))
        details = check_all(InsightFaceData(root=folder, benchmarks=[], num_workers=0), None)
    found = {detail["class"] for name, detail in details if name == "label_gaps"}
    return Outcome("class labels missing in an archive", len(gone), len(gone - found), len(found - gone), 0)


def show(outcomes: list[Outcome]) -> None:
    table = Table(title="defects")
    for column in ("defect", "planted", "missed", "false alarms", "in the untouched copy"):
        table.add_column(column, justify="left" if column == "defect" else "right")
    for outcome in outcomes:
        table.add_row(*map(str, asdict(outcome).values()))
    terminal(120).print(table)


main = command(Settings, plant)
