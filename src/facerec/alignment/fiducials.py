"""The landmarks that CFP (Sengupta et al., WACV 2016) ships in ``Data/Fiducials/ID/{frontal,profile}/NN.txt``.

A profile's file has thirty lines ``x,y`` for the half of the face that is visible. Neither the paper nor the data set
documents their order; third-party programs for these files agree on this one (lines counted from 1): 1 to 9 the jaw
from the ear to the chin, 10 to 12 the brow, 13 to 18 around the eye, 19 to 22 the bridge of the nose down to its tip,
23 to 25 below the nose, 26 the corner of the mouth, 27 to 30 the middle of the lips. No public statement about the
frontal files was found, so their lines must be given.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np

from facerec.alignment.placement import Placement, place_points
from facerec.errors import InputError
from facerec.files import refuse_no_regular_file

PROFILE_LINES = "13-18/22/26"
_JAW_AT_THE_EAR = 0
_LEFT_HALF, _RIGHT_HALF = [0, 2, 3], [1, 2, 4]  # of the five points: eye, nose, corner of the mouth

Lines = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Fiducials:
    """Places faces by the fiducial files in ``folder``, at the images' relative paths with the suffix ``.txt``.

    Attributes:
        profile: groups of line indices from 0, for files in a folder named ``profile``: three groups (eye, nose, corner
            of the mouth) or five (the order of `POINTS`); a point is the mean of its group.
        frontal: the same for all other files; None if unknown.
    """

    version: ClassVar[int] = 1

    folder: Path
    profile: Lines
    frontal: Lines | None

    def key(self, path: str) -> str:
        return f"points {self._points(path).tolist()}"

    def place(self, path: str, image: np.ndarray, size: int) -> Placement:
        return place_points(self._points(path), image, size)

    def _points(self, path: str) -> np.ndarray:
        lines = self.profile if PurePosixPath(path).parent.name == "profile" else self.frontal
        if lines is None:
            raise InputError("the order of the points of CFP's frontal files is not known: give frontal_points=LINES")
        return _five_points(_read(self.folder / PurePosixPath(path).with_suffix(".txt")), lines)


def parse_lines(text: str) -> Lines:
    """Parse groups of line numbers from 1, such as ``13-18/22/26``, into indices from 0.

    Raises `InputError` for anything else.
    """
    try:
        groups = tuple(tuple(index for part in group.split(",") for index in _span(part)) for group in text.split("/"))
    except ValueError:
        groups = ()
    if len(groups) not in (3, 5) or not all(groups) or min(map(min, groups)) < 0:
        raise InputError(
            f"{text!r} does not name points: write three groups of lines (eye/nose/mouth) or five, such as 13-18/22/26"
        )
    return groups


def _span(part: str) -> range:
    first, _, last = part.partition("-")
    span = range(int(first) - 1, int(last or first))
    if not span:
        raise ValueError(f"{part} counts backwards")
    return span


def _five_points(file_points: np.ndarray, lines: Lines) -> np.ndarray:
    needed = 1 + max(map(max, lines))
    if len(file_points) < needed:
        raise InputError(f"its fiducial file has {len(file_points)} points and line {needed} is needed: correct it")
    points = np.array([file_points[list(group)].mean(axis=0) for group in lines])
    if len(lines) == 5:
        return points
    # The nose points away from the ear: if the left half is visible, towards the viewer's right.
    left = file_points[_JAW_AT_THE_EAR, 0] < points[1, 0]
    five = np.full((5, 2), np.nan)
    five[_LEFT_HALF if left else _RIGHT_HALF] = points
    return five


def _read(file: Path) -> np.ndarray:
    refuse_no_regular_file(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
        rows = [[float(value) for value in line.split(",")] for line in text.split("\n") if line.strip()]
        if any(len(row) != 2 for row in rows):
            raise ValueError("a line does not have two values")
        return np.array(rows).reshape(-1, 2)
    except OSError as error:
        raise InputError(f"fiducial file {file} cannot be read ({error.strerror}): check fiducials=") from error
    except ValueError as error:
        raise InputError(f"fiducial file {file} does not consist of lines X,Y: correct it") from error
