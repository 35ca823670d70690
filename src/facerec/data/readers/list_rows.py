"""The rows of a training list, lines ``REFERENCE IDENTITY``, whatever the references are."""

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facerec.data.readers.listing import IMAGE_SUFFIXES, shortest_spelling
from facerec.data.readers.string_table import Texts
from facerec.data.readers.text_lines import BLANKS, numbered_lines, quote
from facerec.data.shared_arrays import SharedArrays
from facerec.data.source import OnProblem, refuse
from facerec.errors import InputError
from facerec.files import refuse_no_regular_file


class LineNumbers(SharedArrays):
    """The line number of each row, in little memory: most rows are in consecutive lines."""

    def __init__(self, numbers: np.ndarray) -> None:
        shifts = numbers - np.arange(len(numbers))
        self._starts = np.flatnonzero(np.diff(shifts, prepend=0))
        self._shifts = shifts[self._starts]

    def __getitem__(self, row: int) -> int:
        return row + int(self._shifts[np.searchsorted(self._starts, row, side="right") - 1])


@dataclass(frozen=True)
class TrainList:
    """A training list: ``references`` and ``labels``, int64 ``(N,)``, one per row, and the ``lines`` of the rows;
    labels are indices into the sorted ``identities``."""

    file: Path
    references: Texts
    labels: np.ndarray
    identities: list[str]
    lines: LineNumbers


def read_list(root: str | Path, train_list: str | Path, on_problem: OnProblem = refuse) -> TrainList:
    """Read a list of lines ``REFERENCE IDENTITY`` at the given path or in ``root``.

    The separator is a tab, and both fields may contain spaces: the identity is everything after the tab, like the name
    of a folder, and outer spaces do not belong to a reference unless ``./`` precedes them. Repeated tabs and tabs at
    the ends are allowed. Without tabs, the last word is the identity. Empty lines and comments (#) are ignored.

    ``on_problem`` is called for lines of another format and for repeated references; ``./a.png`` repeats ``a.png``, as
    do other spellings of its path.
    Raises `InputError` for a missing or unreadable file, for one without rows, and for one with the identities first.
    """
    places = (Path(train_list), Path(root, train_list))
    file = next((path for path in places if os.path.isfile(path)), None)
    if file is None:
        for path in places:
            refuse_no_regular_file(path)
        raise InputError(f"training list {train_list} does not exist, nor does it in {root}: check its name")
    rows = _gather(file, on_problem)
    if not len(rows.lines):
        raise InputError(f"training list {file} has no line PATH IDENTITY: write one per image")
    _refuse_swapped(file, rows)
    again = _report_repeated(file, rows, on_problem)
    if again:
        kept = np.delete(np.arange(len(rows.lines)), again)
        references = Texts(rows.references[row] for row in kept.tolist())
        rows = _Rows(references, rows.lines[kept], rows.people[kept], rows.names, rows.hashes[kept])
    labels, identities = _number_by_name(rows)
    return TrainList(file, rows.references, labels, identities, LineNumbers(rows.lines))


def _refuse_swapped(file: Path, rows: "_Rows") -> None:
    """Raise `InputError` if the first row has a label and then the path of an image."""
    reference, identity = rows.references[0], rows.names[rows.people[0]]
    if identity.lower().endswith(IMAGE_SUFFIXES) and not set(reference) & set("./"):
        problem = f"line {rows.lines[0]} of {file} has the identity {reference!r} before the path {identity!r}"
        raise InputError(f"{problem}: write PATH IDENTITY in each line")


def repeated(file: Path, reference: str, line: int, earlier: int) -> str:
    """Return the sentence about a ``line`` that names the same image as an ``earlier`` one."""
    return f"line {line} of {file} names {reference} again, after line {earlier}: remove one of the two lines"


@dataclass(frozen=True)
class _Rows:
    """Rows in their order: references, line numbers, identities as indices into the distinct ``names``, and hashes of
    the references. All arrays are int64 ``(N,)``."""

    references: Texts
    lines: np.ndarray
    people: np.ndarray
    names: list[str]
    hashes: np.ndarray


def _gather(file: Path, on_problem: OnProblem) -> _Rows:
    numbers: dict[str, int] = {}
    lines, people, hashes = array("q"), array("q"), array("q")

    def references() -> Iterator[str]:
        for line, reference, identity in _parsed(file, on_problem):
            lines.append(line)
            people.append(numbers.setdefault(identity, len(numbers)))
            hashes.append(hash(shortest_spelling(reference)))
            yield reference

    texts = Texts(references())
    return _Rows(texts, np.asarray(lines), np.asarray(people), list(numbers), np.asarray(hashes))  # no copies


def _parsed(file: Path, on_problem: OnProblem) -> Iterator[tuple[int, str, str]]:
    """Yield line number, reference and identity of each row."""
    for number, line in numbered_lines(file, "training list", "check its permissions", comments=True):
        reference, identity = _parse(line)
        if reference and identity.strip():
            yield number, reference, identity
        else:
            tabs = ", separated by one tab and without other tabs" if "\t" in line.strip() else ""
            on_problem(number, f"line {number} of {file} is {quote(line)}: write PATH IDENTITY{tabs}")


def _parse(line: str) -> tuple[str, str]:
    """Return reference and identity; one of them is empty if the format is wrong."""
    fields = [field for field in line.split("\t") if field.strip(BLANKS)]
    if len(fields) == 1:
        reference, _, identity = fields[0].strip(BLANKS).rpartition(" ")
    else:
        reference, identity = fields if len(fields) == 2 else ("", "")
    return reference.strip(BLANKS), identity


def _report_repeated(file: Path, rows: _Rows, on_problem: OnProblem) -> list[int]:
    """Return the rows whose reference is in an earlier row, ascending."""
    in_order = np.sort(rows.hashes)
    suspects = in_order[1:][in_order[1:] == in_order[:-1]]  # few if the list is correct
    first: dict[str, int] = {}
    again = []
    for row in np.flatnonzero(np.isin(rows.hashes, suspects)).tolist() if len(suspects) else ():
        earlier = first.setdefault(shortest_spelling(rows.references[row]), row)
        if earlier != row:
            line = int(rows.lines[row])
            on_problem(line, repeated(file, rows.references[row], line, int(rows.lines[earlier])))
            again.append(row)
    return again


def _number_by_name(rows: _Rows) -> tuple[np.ndarray, list[str]]:
    """Return the labels of the rows, and the sorted names of the identities that occur."""
    occurs = np.bincount(rows.people, minlength=len(rows.names)) > 0
    in_order = sorted(np.flatnonzero(occurs).tolist(), key=rows.names.__getitem__)
    label = np.empty(len(rows.names), np.int64)
    label[in_order] = np.arange(len(in_order))
    return label[rows.people], [rows.names[person] for person in in_order]
