"""Lists of training images, ``REFERENCE IDENTITY`` a line: the reference is a path, or the key of a record."""

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from facerec.data.folders import LabelledFolder
from facerec.data.insightface import InsightFaceRecords
from facerec.data.subset import Subset
from facerec.data.texts import Texts
from facerec.errors import InputError

_BLOCK = 1 << 22  # bytes of a list that are parsed at a time


@dataclass(frozen=True)
class TrainList:
    """A list as it was read: ``references`` and ``labels``, int64 ``(N,)``, one a line in its order; labels number the
    sorted ``identities`` from 0."""

    file: Path
    references: Texts
    labels: np.ndarray
    identities: list[str]


class ListedImages(LabelledFolder):
    """The image files below ``root`` that a list names."""

    def __init__(self, root: Path, rows: TrainList) -> None:
        super().__init__(root, rows.references, rows.labels, rows.identities)
        self._list = rows.file

    def refuse_missing(self) -> None:
        """`InputError` for the first image that is not there, as far as `missing` looks for them."""
        missing = self.missing().tolist()
        if missing:
            others = f", nor are {len(missing) - 1} others" if len(missing) > 1 else ""
            raise InputError(
                f"image {self._path(missing[0])} in line {_line_of(self._list, missing[0])} of {self._list} is not "
                f"there{others}: restore what is missing or take it off the list"
            )


def read_train_list(root: str | Path, train_list: str | Path, train_folder: str = "") -> ListedImages:
    """A training set of the image files that a list names, their paths relative to ``root``, or to ``train_folder``
    below it where the first image is not at the one and is at the other.

    `InputError` as from `read_list`, and where the first image is at neither; see `ListedImages.refuse_missing` for the
    others.
    """
    root = Path(root)
    rows = read_list(root, train_list)
    for folder in (root, root / train_folder):
        if os.path.isfile(folder / rows.references[0]):
            return ListedImages(folder, rows)
    raise InputError(
        f"the first image of {rows.file} is not at {root / rows.references[0]}: name the folder that its paths "
        "start from"
    )


def read_record_list(records: InsightFaceRecords, root: str | Path, train_list: str | Path) -> Subset:
    """The images of an archive that a list names by their keys, beside the class numbers that they have there.

    `InputError` as from `read_list`; it also names the first line whose record or class the archive does not hold, and
    a record that is listed twice, such as 1 and 01.
    """
    rows, archive = read_list(root, train_list), records.records.path
    positions = _positions_of(records, rows)
    if (positions < 0).any():
        row = int(np.argmin(positions))
        raise InputError(
            f"line {_line_of(rows.file, row)} of {rows.file} names {rows.references[row]!r}, and {archive} holds no "
            "image under that key: write KEY IDENTITY, of this archive"
        )
    _refuse_repeated_records(rows, positions)
    labels = {records.identity_name(label): label for label in range(records.num_identities)}
    listed = np.array([labels.get(name, -1) for name in rows.identities])[rows.labels]
    is_other = listed != records.labels[positions]
    if is_other.any():
        row = int(np.argmax(is_other))
        theirs, ours = rows.identities[rows.labels[row]], records.identity_name(int(records.labels[positions[row]]))
        raise InputError(
            f"line {_line_of(rows.file, row)} of {rows.file} says that record {rows.references[row]} is of {theirs!r}, "
            f"and {archive} says {ours}: write the list for this archive again"
        )
    return Subset(records, positions)


def _positions_of(records: InsightFaceRecords, rows: TrainList) -> np.ndarray:
    """Number of each row's image in the archive, -1 where there is none."""
    keys = records.keys
    numbers = (int(key) if key.isdecimal() and len(key) < 19 else -1 for key in rows.references)
    listed = np.fromiter(numbers, np.int64, len(rows.labels))
    by_key = np.argsort(keys, kind="stable")
    positions = by_key[np.minimum(np.searchsorted(keys, listed, sorter=by_key), len(keys) - 1)]
    return np.where(keys[positions] == listed, positions, -1)


def read_list(root: str | Path, train_list: str | Path) -> TrainList:
    """A list ``REFERENCE IDENTITY``, looked for as given, then below ``root``.

    One tab stands between the two, and both may hold spaces; or spaces, and the last word is the identity. Empty lines
    and lines that begin with # are passed over. `InputError` names a missing or unreadable file, and a bad or repeated
    line; ``./a.png`` repeats ``a.png``.
    """
    file = _find(Path(root), Path(train_list))
    number: dict[str, int] = {}
    joined, numbers, hashes = bytearray(), array("q"), array("q")
    for references, identities in _rows(file):
        joined += "\0".join([*references, ""]).encode()
        numbers.extend([number.setdefault(identity, len(number)) for identity in identities])
        hashes.extend([hash(_unprefixed(reference)) for reference in references])
    if not numbers:
        raise InputError(f"training list {file} is empty: write one PATH IDENTITY a line")
    identities = sorted(number)
    label = np.empty(len(number), np.int64)
    label[[number[identity] for identity in identities]] = np.arange(len(number))
    rows = TrainList(file, Texts.from_joined(joined), label[np.frombuffer(numbers, np.int64)], identities)
    _refuse_repeated(rows, np.frombuffer(hashes, np.int64))
    return rows


def _find(root: Path, train_list: Path) -> Path:
    for candidate in (train_list, root / train_list):
        if os.path.isfile(candidate):
            return candidate
    raise InputError(f"training list {train_list} is neither there nor below {root}: check its name")


def _rows(file: Path) -> Iterator[tuple[list[str], list[str]]]:
    """References and identities, many at a time."""
    for first_line, block in _blocks(file):
        references, identities = [], []
        for number, line in _lines(first_line, block):
            reference, tab, identity = line.partition("\t")
            if not tab or "\t" in identity:
                # Other kinds of space belong to the names that they stand in.
                place = max(line.rfind(" "), line.rfind("\t"))
                reference, identity = line[: max(place, 0)], line[place + 1 :]
            if not reference:
                raise InputError(f"line {number} of {file} is {' '.join(line.split())!r}: write PATH IDENTITY")
            references.append(reference.rstrip())
            identities.append(identity.lstrip())
        yield references, identities


def _lines(first_line: int, block: str) -> Iterator[tuple[int, str]]:
    """Number and text of the lines that count."""
    for number, line in enumerate(block.split("\n"), start=first_line):
        if (line := line.strip()) and line[0] != "#":
            yield number, line


def _blocks(file: Path) -> Iterator[tuple[int, str]]:
    """The text of ``file`` in blocks of whole lines, without the line break between two blocks, and the number of the
    first line of each."""
    first_line, start = 1, 0
    for block in _bytes_of(file):
        if b"\0" in block:
            raise InputError(f"{file} is not UTF-8 text (byte {start + block.index(0)}): save it as UTF-8")
        try:
            yield first_line, block.removesuffix(b"\n").decode("utf-8-sig" if start == 0 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{file} is not UTF-8 text (byte {start + error.start}): save it as UTF-8") from error
        start += len(block)
        first_line += block.count(b"\n")


def _bytes_of(file: Path) -> Iterator[bytes]:
    """Blocks of whole lines, with a progress bar on standard error."""
    try:
        with (
            file.open("rb") as binary,
            tqdm(desc=f"reading {file.name}", total=file.stat().st_size, unit="B", unit_scale=True, delay=2) as bar,
        ):
            while block := binary.read(_BLOCK) + binary.readline():
                yield block
                bar.update(len(block))
    except OSError as error:
        raise InputError(
            f"training list {file} cannot be read ({error.strerror}): see to it that you may read it"
        ) from error


def _line_of(file: Path, row: int) -> int:
    """The number of the line of the list's row, as an editor counts."""
    lines = (number for block in _blocks(file) for number, _ in _lines(*block))
    return next(islice(lines, row, None))


def _refuse_repeated(rows: TrainList, hashes: np.ndarray) -> None:
    in_order = np.sort(hashes)
    suspects = in_order[1:][in_order[1:] == in_order[:-1]]  # few, where the list is sound
    first: dict[str, int] = {}
    for index in np.flatnonzero(np.isin(hashes, suspects)).tolist() if len(suspects) else ():
        earlier = first.setdefault(_unprefixed(rows.references[index]), index)
        if earlier != index:
            raise _repeated(rows, earlier, index)


def _refuse_repeated_records(rows: TrainList, positions: np.ndarray) -> None:
    order = np.argsort(positions, kind="stable")
    again = np.flatnonzero(np.diff(positions[order]) == 0)
    if len(again):
        raise _repeated(rows, int(order[again[0]]), int(order[again[0] + 1]))


def _unprefixed(reference: str) -> str:
    return reference[2:] if reference[:2] == "./" else reference


def _repeated(rows: TrainList, earlier: int, later: int) -> InputError:
    return InputError(
        f"line {_line_of(rows.file, later)} of {rows.file} names {rows.references[later]} again, after line "
        f"{_line_of(rows.file, earlier)}: an image stands in a list once, so remove one of them"
    )
