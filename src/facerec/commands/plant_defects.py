"""Plants defects in a copy of some faces and says which are found: facerec plant_defects data.root=faces

Each defect goes into a fresh copy in a temporary folder, in a tenth of its images or identities unless its name says
otherwise. A false alarm is what the same check reports there and neither was planted nor is reported of the untouched
copy; what is reported of that one stands in the last column.
Prints a table on stderr and, last, one JSON list.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from facerec.config.build import build_data
from facerec.config.compose import compose
from facerec.config.settings import command, run_settings, setting
from facerec.console import log
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

    identities: int = setting("to train on, and as many for a benchmark: those with most images", 60, least=1)
    images: int = setting("of each identity", 10, least=1)
    checkpoint: Path | None = setting("a trained network, to plant wrong labels and people with two names too", None)
    seed: int = setting("of what is planted where", 1, least=1)
    out: Path | None = setting("where to write the table as JSON as well", None)
    overrides: tuple[str, ...] = run_settings("as for train: data=..., data.root=... and others that choose the data")


def plant(settings: Settings) -> list[dict[str, Any]]:
    """Show the table; what is printed."""
    prepare_process()
    source = build_data(compose(list(settings.overrides))).open_train()
    make = copier(source, settings.identities, settings.images, settings.seed)
    outcomes = study(make, load_embedder(settings.checkpoint) if settings.checkpoint else None)
    results = [asdict(outcome) for outcome in outcomes]
    if settings.out:
        write_json(settings.out, results)
    show(outcomes)
    return results


def copier(source: LabelledSource, identities: int, images: int, seed: int) -> Make:
    """What makes a fresh copy, always the same."""
    counts = np.bincount(source.labels)
    chosen = np.argsort(-counts, kind="stable")[: 2 * identities].tolist()
    if len(chosen) < 2 * identities:
        raise InputError(
            f"identities={identities} takes twice as many, and the training set has {len(counts)}: lower it"
        )
    numbers = {label: np.flatnonzero(source.labels == label)[:images].tolist() for label in chosen}
    pixels = {i: source.load(i)[..., ::-1] for some in numbers.values() for i in some}

    def make(root: Path) -> Copy:
        copy = Copy(root, np.random.default_rng(seed))
        for label, some in list(numbers.items())[::2]:
            for place, i in enumerate(some):
                copy.write(f"train/name_{label}/{place}.jpg", pixels[i], f"name_{label}")
        for label, some in list(numbers.items())[1::2]:
            who = f"other_{label}"
            copy.people[who] = [f"{who}/{place:04}.jpg" for place in range(len(some))]
            for name, i in zip(copy.people[who], some, strict=True):
                copy.write(f"known/known/{name}", pixels[i])
        return copy

    return make


class Defect(NamedTuple):
    """What is planted; the findings that must report it; the key of what they name, ``part`` for the finding's own."""

    name: str
    plant: planting.Plant
    findings: Sequence[str]
    key: str


_TWICE = ("duplicates", "near_duplicates")
_ACROSS = ("duplicates_across_identities", "near_duplicates_across_identities")


def twice(how: str, change: planting.Change, across: bool = False, quality: int = 95) -> Defect:
    """Images that are there a second time, changed, in the same identity or ``across`` two."""
    return Defect(f"again, {how}", again(change, across, quality), _ACROSS if across else _TWICE, "images")


DEFECTS = [
    Defect("whole set with red and blue swapped", planting.swap_all, ("swapped_channels",), "part"),
    Defect("red and blue swapped", changed(lambda image: image[..., ::-1]), ("swapped_images",), "image"),
    Defect("same file twice", again(None), ("duplicates",), "images"),
    Defect("same file in two identities", again(None, across=True), ("duplicates_across_identities",), "images"),
    twice("JPEG quality 50", np.array, quality=50),
    twice("in another identity, quality 50", np.array, across=True, quality=50),
    *(twice(f"{share:g} of the size", planting.scale(share)) for share in (0.6, 1.5)),
    *(twice(f"{light:g} as bright", planting.brighten(light)) for light in (0.85, 1.15)),
    *(twice(f"{pixels} px cropped all around", planting.crop(pixels)) for pixels in (1, 2, 3, 5)),
    twice("mirrored", planting.mirror),
    twice("in another identity, mirrored", planting.mirror, across=True),
    Defect("files cut off", planting.truncate, ("unreadable_images",), "image"),
    Defect("files missing", planting.remove, ("unreadable_images",), "image"),
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
    """How many of the ``planted`` are ``missed``, how many others are reported, and how many of the ``untouched``."""

    defect: str
    planted: int
    missed: int
    false_alarms: int
    untouched: int


def study(make: Make, embedder: Embedder | None = None) -> list[Outcome]:
    """Each defect by itself; those that need a network where there is one."""
    with tempfile.TemporaryDirectory() as folder:
        untouched = make(Path(folder)).module()
        before = check_all(untouched, embedder)
        gaps = leave_classes_out(make(Path(folder)))
    defects = DEFECTS + (BY_FACE if embedder else [])
    outcomes = []
    for number, defect in enumerate(defects, 1):
        log(f"planting {number} of {len(defects)}: {defect.name}")
        outcomes.append(try_defect(defect, make, before, embedder))
    return [*outcomes, gaps]


def check_all(module: FaceDataModule, embedder: Embedder | None) -> list[tuple[str, dict[str, object]]]:
    """The name of the finding, and each of its details with the part."""
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
    """How many of the ``items`` are not among the others, nor pairs whose members those connect: of three equal images
    two pairs are reported, which may be any two."""
    groups: dict[str, set[str]] = {}
    for item in by:
        joined = set().union(item, *(groups.get(member, set()) for member in item))
        groups |= dict.fromkeys(joined, joined)
    return sum(not item <= groups.get(min(item), set()) for item in items)


def named(details: list[tuple[str, dict[str, object]]], findings: Sequence[str], key: str) -> Planted:
    """What these findings name under the key."""
    values = [detail[key] for name, detail in details if name in findings and key in detail]
    return {frozenset(value if isinstance(value, list) else [str(value)]) for value in values}


def leave_classes_out(copy: Copy) -> Outcome:
    """An archive without a tenth of the class numbers."""
    number = {who: i for i, who in enumerate(copy.identities())}
    gone = {number[who] for who in copy.some_identities()} - {len(number) - 1}
    with tempfile.TemporaryDirectory() as folder:
        with writing_records(Path(folder) / "train.rec") as writer:
            for key, (path, who) in enumerate(row for row in copy.rows.items() if number[row[1]] not in gone):
                writer.write(key, pack(float(number[who]), key, (copy.root / path).read_bytes()))
        details = check_all(InsightFaceData(root=folder, benchmarks=[], num_workers=0), None)
    found = {detail["class"] for name, detail in details if name == "label_gaps"}
    return Outcome("class numbers left out of an archive", len(gone), len(gone - found), len(found - gone), 0)


def show(outcomes: list[Outcome]) -> None:
    table = Table(title="defects")
    for column in ("defect", "planted", "missed", "false alarms", "in the untouched copy"):
        table.add_column(column, justify="left" if column == "defect" else "right")
    for outcome in outcomes:
        table.add_row(*map(str, asdict(outcome).values()))
    Console(stderr=True, width=None if sys.stderr.isatty() else 120).print(table)


main = command(Settings, plant)
