"""Training sets of the images in a list, lines ``REFERENCE IDENTITY``, with a path or the key of a record."""

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from facerec.data.readers.folders import LabelledFolder
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.list_rows import TrainList, read_list, repeated
from facerec.data.readers.listing import looked_for
from facerec.data.source import LabelledSource, OnProblem, refuse, slashes
from facerec.data.subset import Subset
from facerec.errors import InputError
from facerec.files import replacing


class ListedImages(LabelledFolder):
    """The image files in ``root`` that a list names."""

    def __init__(self, root: Path, rows: TrainList) -> None:
        super().__init__(root, rows.references, rows.labels, rows.identities)
        self.list_file, self._lines = rows.file, rows.lines

    def listed_in(self, index: int) -> tuple[Path, int]:
        return self.list_file, self._lines[index]


def read_train_list(
    root: str | Path, train_list: str | Path, train_folder: str = "", on_problem: OnProblem = refuse
) -> ListedImages:
    """Read a training set of the image files in a list.

    Paths are relative to ``root``, or to ``train_folder`` in it if the first image exists only there; `refuse_missing`
    checks all images. ``on_problem`` is called for the lines that `read_list` finds wrong. Raises `InputError` like
    `read_list`, and if none of the images that `ListedImages.missing` looks for exists in either folder.
    """
    rows = read_list(root, train_list, on_problem)
    folders = (Path(root), Path(root) / train_folder)
    for folder in folders:
        if os.path.isfile(folder / rows.references[0]):
            return ListedImages(folder, rows)
    for images in (ListedImages(folder, rows) for folder in folders):
        if len(images.missing()) < len(looked_for(len(images))):
            return images
    problem = f"no image of {rows.file} exists, such as {folders[0] / rows.references[0]}"
    raise InputError(f"{problem}: {slashes(rows.references[0])}name the folder that its paths start from")


def read_record_list(
    records: InsightFaceRecords, root: str | Path, train_list: str | Path, on_problem: OnProblem = refuse
) -> Subset:
    """Read the images of an archive that a list names by their keys, with the class labels that they have there.

    ``on_problem`` is called for the lines that `read_list` finds wrong, those whose record or class is not in the
    archive, and repeated records, such as 1 and 01. Raises `InputError` like `read_list`, and if no line is valid.
    """
    rows = read_list(root, train_list, on_problem)
    positions = _positions_of(records, rows)
    found = (find(records, rows, positions) for find in (_without_record, _repeated, _of_another_class))
    is_wrong = np.zeros(len(positions), bool)
    for row, sentence in tqdm(chain.from_iterable(found), f"wrong lines of {rows.file.name}", unit=" lines", delay=2):
        if not is_wrong[row]:
            is_wrong[row] = True
            on_problem(rows.lines[row], sentence)
    if is_wrong.all():
        problem = f"training list {rows.file} has no line KEY IDENTITY of {records.records.path}"
        raise InputError(f"{problem}: write the list for this archive again")
    return Subset(records, positions[~is_wrong])


def write_train_list(source: LabelledSource, kept: np.ndarray, path: Path) -> None:
    """Write a list of the images ``kept``, indices into ``source``.

    A tab separates image and identity, because both may contain spaces.
    """
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        for index in kept.tolist():
            file.write(f"{source.reference(index)}\t{source.identity_name(int(source.labels[index]))}\n")


def _positions_of(records: InsightFaceRecords, rows: TrainList) -> np.ndarray:
    """Return the index of each row's image in the archive, -1 if there is none."""
    keys = records.keys
    numbers = (int(key) if key.isdecimal() and len(key) < 19 else -1 for key in rows.references)
    listed = np.fromiter(numbers, np.int64, len(rows.labels))
    by_key = np.argsort(keys, kind="stable")
    positions = by_key[np.minimum(np.searchsorted(keys, listed, sorter=by_key), len(keys) - 1)]
    return np.where(keys[positions] == listed, positions, -1)


_Wrong = Iterator[tuple[int, str]]  # index of a row and a sentence


def _without_record(records: InsightFaceRecords, rows: TrainList, positions: np.ndarray) -> _Wrong:
    for row in np.flatnonzero(positions < 0).tolist():
        problem = f"names {rows.references[row]!r}, and {records.records.path} has no image with that key"
        yield row, f"line {rows.lines[row]} of {rows.file} {problem}: write KEY IDENTITY of this archive"


def _repeated(records: InsightFaceRecords, rows: TrainList, positions: np.ndarray) -> _Wrong:
    order = np.argsort(positions, kind="stable")
    again = 1 + np.flatnonzero((np.diff(positions[order]) == 0) & (positions[order[1:]] >= 0))
    for position in again[np.argsort(order[again])].tolist():
        row, earlier = int(order[position]), int(order[position - 1])
        yield row, repeated(rows.file, rows.references[row], rows.lines[row], rows.lines[earlier])


def _of_another_class(records: InsightFaceRecords, rows: TrainList, positions: np.ndarray) -> _Wrong:
    labels = {records.identity_name(label): label for label in range(records.num_identities)}
    listed = np.array([labels.get(name, -1) for name in rows.identities])[rows.labels]
    for row in np.flatnonzero((listed != records.labels[positions]) & (positions >= 0)).tolist():
        theirs, ours = rows.identities[rows.labels[row]], records.identity_name(int(records.labels[positions[row]]))
        problem = f"says that record {rows.references[row]} is of {theirs!r}, and {records.records.path} says {ours}"
        yield row, f"line {rows.lines[row]} of {rows.file} {problem}: write the list for this archive again"
