"""Lists of five landmarks per image, in the common formats."""

import csv
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import ClassVar, NamedTuple

import numpy as np

from facerec.alignment.placement import POINTS, Placement, mirrored, place_points
from facerec.data.readers.text_lines import numbered_lines, quote
from facerec.errors import InputError

_PATH_COLUMNS = {"path", "image", "imageid", "imagepath", "file", "filename", "name"}
_COLUMNS = [f"{point}_{axis}" for point in POINTS for axis in "xy"]
_FORMATS = "a CSV with a header, or one line PATH X1 Y1 ... X5 Y5 per image"


class ListedLandmarks:
    """Places faces by a list: ``points`` maps each image's `normal_path` to its landmarks ``(5, 2)``."""

    version: ClassVar[int] = 1

    def __init__(self, points: dict[str, np.ndarray]) -> None:
        self.points = points

    def not_among(self, paths: Iterable[str]) -> list[str]:
        """Return the listed paths that are not among ``paths``."""
        present = {normal_path(path) for path in paths}
        return [path for path in self.points if path not in present]

    def key(self, path: str) -> str:
        return f"points {self._points(path).tolist()}"

    def place(self, path: str, image: np.ndarray, size: int) -> Placement:
        return place_points(self._points(path), image, size)

    def _points(self, path: str) -> np.ndarray:
        points = self.points.get(normal_path(path))
        if points is None:
            raise InputError("the image has no landmarks: add a line for it")
        return points


class _Row(NamedTuple):
    number: int
    path: str
    values: list[str]


def read_landmarks(file: Path, root: Path, left: str = "viewer") -> ListedLandmarks:
    """Read the landmarks in ``file`` of the images in ``root``; paths are relative to ``root`` or absolute.

    Three formats are supported. A CSV (commas, semicolons or tabs) has a header with ``path`` and ``left_eye_x`` ...
    ``right_mouth_y`` in any order, with or without underscores; an empty cell marks a hidden point. A list has lines
    ``PATH X1 Y1 ... X5 Y5`` in the order of `POINTS`; if tabs or commas separate the fields, there may be other fields
    between path and points. CelebA's list has the number of images in the first line and the column names in the
    second. Lines that begin with ``#`` are comments; a path that begins with it is written ``./#...``.

    ``left`` says whose left the file refers to: the ``viewer``'s, as in CelebA, or the ``subject``'s. Raises
    `InputError` for a line that is in none of these formats and for a repeated path.
    """
    points: dict[str, np.ndarray] = {}
    for row in _rows(file):
        path = normal_path(row.path, root)
        if path in points:
            raise InputError(f"line {row.number} of {file} lists {row.path} again: keep one line per image")
        points[path] = _parsed(file, row)
    if not points:
        raise InputError(f"landmarks file {file} is empty: it must be {_FORMATS}")
    if left == "subject":
        points = {path: mirrored(row) for path, row in points.items()}
    return ListedLandmarks(points)


def normal_path(path: str, root: Path | None = None) -> str:
    """Normalise ``path`` for comparisons: relative to ``root``, without ``./``, and with accented characters composed,
    which macOS decomposes."""
    pure = PurePosixPath(path)
    if root is not None and pure.is_relative_to(root.absolute()):
        pure = pure.relative_to(root.absolute())
    return unicodedata.normalize("NFC", pure.as_posix())


def _rows(file: Path) -> Iterator[_Row]:
    lines = list(numbered_lines(file, "landmarks file", "check landmarks=", comments=True))
    first = lines[0][1] if lines else ""
    delimiter = next((mark for mark in "\t;," if mark in first), None)
    if first.strip().isdecimal():  # CelebA
        return (_spaced(file, number, line) for number, line in lines[2:])
    if delimiter is None:
        return (_spaced(file, number, line) for number, line in lines)
    names = [_plain(name) for name in next(csv.reader([first], delimiter=delimiter))]
    if _PATH_COLUMNS & set(names):
        return _by_header(file, names, lines[1:], delimiter)
    return _by_position(file, lines, delimiter)


def _by_header(file: Path, names: list[str], lines: list[tuple[int, str]], delimiter: str) -> Iterator[_Row]:
    missing = [column for column in _COLUMNS if _plain(column) not in names]
    if missing:
        raise InputError(
            f"the header of {file} does not name {missing[0]}: it needs path and, with _x and _y, {', '.join(POINTS)}"
        )
    path = next(index for index, name in enumerate(names) if name in _PATH_COLUMNS)
    order = [names.index(_plain(column)) for column in _COLUMNS]
    for number, fields in _fields(lines, delimiter):
        if len(fields) != len(names):
            raise InputError(f"line {number} of {file} has {len(fields)} cells: the header has {len(names)}")
        yield _Row(number, fields[path], [fields[index] for index in order])


def _by_position(file: Path, lines: list[tuple[int, str]], delimiter: str) -> Iterator[_Row]:
    for number, fields in _fields(lines, delimiter):
        if len(fields) < 11:
            raise InputError(f"line {number} of {file} has {len(fields)} cells: it must be {_FORMATS}")
        yield _Row(number, fields[0], fields[-10:])


def _spaced(file: Path, number: int, line: str) -> _Row:
    fields = line.rsplit(maxsplit=10)
    if len(fields) != 11:
        raise InputError(f"line {number} of {file} is {quote(line)}: it must be {_FORMATS}")
    return _Row(number, fields[0], fields[1:])


def _fields(lines: Iterable[tuple[int, str]], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in lines:
        yield number, next(csv.reader([line], delimiter=delimiter))


def _parsed(file: Path, row: _Row) -> np.ndarray:
    try:
        values = [float(value) if value.strip() else np.nan for value in row.values]
    except ValueError as error:
        raise InputError(f"line {row.number} of {file} does not end in ten numbers ({error}): correct it") from error
    return np.array(values).reshape(5, 2)


def _plain(name: str) -> str:
    """Normalise a column name: lower case, only letters and digits, the side before ``mouth``."""
    plain = "".join(character for character in name.lower() if character.isalnum())
    for side in ("left", "right"):
        plain = plain.replace(f"mouth{side}", f"{side}mouth")
    return plain
