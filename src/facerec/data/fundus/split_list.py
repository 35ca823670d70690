"""The list of which images are for training and which for tests: ``splits.csv``."""

import csv
from collections.abc import Sequence
from pathlib import Path

from facerec.data.fundus.masked_source import TEST, TRAIN
from facerec.data.readers.text_lines import numbered_lines, quote
from facerec.data.source import OnProblem
from facerec.errors import InputError

Splits = dict[tuple[str, str], str]  # by domain and name

_COLUMNS = ("domain", "name", "split")
_EVERY = 5  # without a list, every fifth image by name is a test image


def split_evenly(number: int) -> list[str]:
    """Return the split of each of so many images, sorted by name: every fifth, from the first on, is for tests."""
    return [TRAIN if index % _EVERY else TEST for index in range(number)]


def read_splits(file: Path, on_problem: OnProblem) -> Splits:
    """Return the split of each domain and name in a CSV file with columns domain, name and split.

    ``on_problem`` is called for a line of another format or split, and for an image that is listed twice. Raises
    `InputError` for a file that cannot be read or lacks a column.
    """
    lines = numbered_lines(file, "split list", "check its permissions, or remove it")
    places = _places(next(lines, (1, ""))[1], file)
    splits: Splits = {}
    for number, line in lines:
        row = next(csv.reader([line]))
        if len(row) <= max(places):
            on_problem(number, f"line {number} of {file} is {quote(line)}: write {', '.join(_COLUMNS)}")
            continue
        domain, name, split = (row[place].strip() for place in places)
        if split not in (TRAIN, TEST):
            on_problem(number, f"line {number} of {file} has split {split!r}: write {TRAIN} or {TEST}")
        elif (domain, name) in splits:
            on_problem(number, f"line {number} of {file} lists {name} of {domain} again: remove the line")
        else:
            splits[domain, name] = split
    return splits


def split_by_list(
    splits: Splits, domain: str, names: Sequence[str], file: Path, on_problem: OnProblem
) -> dict[str, str]:
    """Return the split of each listed image of a domain by its name.

    ``on_problem`` is called for an image that is not listed, and for a listed one that is not there.
    """
    listed = {name: split for (where, name), split in splits.items() if where == domain}
    for name in sorted(set(names) - listed.keys()):
        on_problem(name, f"image {name} of domain {domain} is not listed in {file}: add a line, or remove the list")
    for name in sorted(listed.keys() - set(names)):
        on_problem(
            name,
            f"image {name} of domain {domain} is listed in {file} and not there: restore it with its mask, "
            "or remove the line",
        )
    return {name: listed[name] for name in names if name in listed}


def _places(header: str, file: Path) -> list[int]:
    columns = [column.strip() for column in next(csv.reader([header]), [])]
    for column in _COLUMNS:
        if column not in columns:
            raise InputError(
                f"split list {file} has no column {column}: its first line must name {', '.join(_COLUMNS)}"
            )
    return [columns.index(column) for column in _COLUMNS]
