"""The rows of a training list, ``REFERENCE IDENTITY`` a line, whatever the references stand for."""

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facerec.data.readers.string_table import Texts
from facerec.data.readers.text_lines import BLANKS, numbered_lines, quote
from facerec.data.shared_arrays import SharedArrays
from facerec.data.source import OnProblem, refuse
from facerec.errors import InputError


class LineNumbers(SharedArrays):
    """The lines in which rows stand, by the number of the row, in little memory: mostly row follows row."""

    def __init__(self, numbers: np.ndarray) -> None:
        shifts = numbers - np.arange(len(numbers))
        self._starts = np.flatnonzero(np.diff(shifts, prepend=0))
        self._shifts = shifts[self._starts]

    def __getitem__(self, row: int) -> int:
        return row + int(self._shifts[np.searchsorted(self._starts, row, side="right") - 1])


@dataclass(frozen=True)
class TrainList:
    """A list as it was read: ``references`` and ``labels``, int64 ``(N,)``, one a row in its order, and the ``lines``
    of the rows; labels number the sorted ``identities`` from 0."""

    file: Path
    references: Texts
    labels: np.ndarray
    identities: list[str]
    lines: LineNumbers


def read_list(root: str | Path, train_list: str | Path, on_problem: OnProblem = refuse) -> TrainList:
    """A list ``REFERENCE IDENTITY``, looked for as given, then below ``root``.

    One tab stands between the two, and both may hold spaces: the identity is all that follows the tab, as a folder may
    be called, and outer spaces of a reference are none of it unless ``./`` stands before them. Several tabs are as good
    as one, and tabs at the ends are none. Or spaces stand between the two, and the last word is the identity. Empty
    lines and lines that begin with # are passed over.

    ``on_problem`` decides about lines of another form and lines whose reference an earlier one has; ``./a.png``
    repeats ``a.png``. `InputError` names a missing or unreadable file and one without a row.
    """
    file = _find(Path(root), Path(train_list))
    rows = _gather(file, on_problem)
    if not len(rows.lines):
        raise InputError(f"training list {file} holds no line PATH IDENTITY: write one an image")
    again = _report_repeated(file, rows, on_problem)
    if again:
        kept = np.delete(np.arange(len(rows.lines)), again)
        references = Texts(rows.references[row] for row in kept.tolist())
        rows = _Rows(references, rows.lines[kept], rows.people[kept], rows.names, rows.hashes[kept])
    labels, identities = _number_by_name(rows)
    return TrainList(file, rows.references, labels, identities, LineNumbers(rows.lines))


def repeated(file: Path, reference: str, line: int, earlier: int) -> str:
    """The sentence about a ``line`` whose image an ``earlier`` one names."""
    return (
        f"line {line} of {file} names {reference} again, after line {earlier}: an image stands in a list once, so "
        "remove one of them"
    )


def _find(root: Path, train_list: Path) -> Path:
    for candidate in (train_list, root / train_list):
        if os.path.isfile(candidate):
            return candidate
    raise InputError(f"training list {train_list} is neither there nor below {root}: check its name")


@dataclass(frozen=True)
class _Rows:
    """What is known of each row: reference, number of its line, its identity as a place in ``names``, which hold each
    once, and the hash of the reference. All arrays are int64 ``(N,)``."""

    references: Texts
    lines: np.ndarray
    people: np.ndarray
    names: list[str]
    hashes: np.ndarray


def _gather(file: Path, on_problem: OnProblem) -> _Rows:
    place: dict[str, int] = {}
    lines, people, hashes = array("q"), array("q"), array("q")

    def references() -> Iterator[str]:
        for line, reference, identity in _parsed(file, on_problem):
            lines.append(line)
            people.append(place.setdefault(identity, len(place)))
            hashes.append(hash(_unprefixed(reference)))
            yield reference

    texts = Texts(references())
    return _Rows(texts, np.asarray(lines), np.asarray(people), list(place), np.asarray(hashes))  # no copies


def _parsed(file: Path, on_problem: OnProblem) -> Iterator[tuple[int, str, str]]:
    """Line, reference and identity of each row."""
    for number, line in numbered_lines(file, "training list", "see to it that you may read it", comments=True):
        reference, identity = _parse(line)
        if reference and identity.strip():
            yield number, reference, identity
        else:
            tabs = ", with one tab between them and none in them" if "\t" in line.strip() else ""
            on_problem(number, f"line {number} of {file} is {quote(line)}: write PATH IDENTITY{tabs}")


def _parse(line: str) -> tuple[str, str]:
    """Reference and identity; one of them is empty where the line is of another form."""
    fields = [field for field in line.split("\t") if field.strip(BLANKS)]
    if len(fields) == 1:
        reference, _, identity = fields[0].strip(BLANKS).rpartition(" ")
    else:
        reference, identity = fields if len(fields) == 2 else ("", "")
    return reference.strip(BLANKS), identity


def _report_repeated(file: Path, rows: _Rows, on_problem: OnProblem) -> list[int]:
    """The rows that stand in an earlier line too, ascending."""
    in_order = np.sort(rows.hashes)
    suspects = in_order[1:][in_order[1:] == in_order[:-1]]  # few, where the list is sound
    first: dict[str, int] = {}
    again = []
    for row in np.flatnonzero(np.isin(rows.hashes, suspects)).tolist() if len(suspects) else ():
        earlier = first.setdefault(_unprefixed(rows.references[row]), row)
        if earlier != row:
            line = int(rows.lines[row])
            on_problem(line, repeated(file, rows.references[row], line, int(rows.lines[earlier])))
            again.append(row)
    return again


def _unprefixed(reference: str) -> str:
    return reference[2:] if reference[:2] == "./" else reference


def _number_by_name(rows: _Rows) -> tuple[np.ndarray, list[str]]:
    """Labels of the rows, and the sorted names of those who have one."""
    occurs = np.bincount(rows.people, minlength=len(rows.names)) > 0
    places = sorted(np.flatnonzero(occurs).tolist(), key=rows.names.__getitem__)
    label = np.empty(len(rows.names), np.int64)
    label[places] = np.arange(len(places))
    return label[rows.people], [rows.names[place] for place in places]
