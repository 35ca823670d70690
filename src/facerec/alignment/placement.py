"""Where a face is in its image: what every source of landmarks answers."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from facerec.alignment.similarity import fit_similarity, mirrored, residual, template, transform
from facerec.errors import InputError

_SMALLEST_FACE = 4  # pixels of a side: landmarks as fractions of the image's sides make one of about 1
_LARGEST_FACE = 10  # times the image


@dataclass(frozen=True)
class Placement:
    """How a face comes into its aligned image.

    Attributes:
        matrix: affine ``(2, 3)``, from the pixels of the source to those of the result.
        points: where `POINTS` come to lie, ``(5, 2)``, NaN where unknown; None where no landmark was used.
        residual: root mean square distance from the template in pixels of the result; None likewise.
        is_mirrored: whether the points fit much better with left and right exchanged.
    """

    matrix: np.ndarray
    points: np.ndarray | None = None
    residual: float | None = None
    is_mirrored: bool = False


class FacePlacer(Protocol):
    """Safe to pickle, and to use from worker processes.

    Attributes:
        version: raised when the class places a face otherwise than before, so that its faces are made again.
    """

    version: ClassVar[int]

    def key(self, path: str) -> str:
        """All but the image itself that decides the placement of image ``path``."""
        ...

    def place(self, path: str, image: np.ndarray, size: int) -> Placement:
        """The face of ``image``, uint8 RGB ``(H, W, 3)``; `InputError` says why there is none."""
        ...


def place_points(points: np.ndarray, image: np.ndarray, size: int) -> Placement:
    """The placement that takes the landmarks ``points`` ``(5, 2)`` to the template; `InputError` where they cannot
    be those of a face in ``image``."""
    targets = template(size)
    height, width = image.shape[:2]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what comes of it is refused below
        matrix = fit_similarity(points, targets)
        x, y = np.nanmean(points, axis=0)
        side = size / np.hypot(*matrix[:, 0])
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(
            f"the landmarks' centre ({x:.0f}, {y:.0f}) is outside the image of {width}x{height} pixels: correct them, "
            "or try the other orientation"
        )
    if not _SMALLEST_FACE <= side <= _LARGEST_FACE * max(width, height):
        raise InputError(
            f"the landmarks are those of a face {side:.3g} pixels wide in an image of {width}x{height} pixels: give "
            "them in pixels of the image"
        )
    moved = transform(matrix, points)
    error = residual(moved, targets)
    exchanged = mirrored(points)
    other = residual(transform(fit_similarity(exchanged, targets), exchanged), targets)
    return Placement(matrix, moved, error, is_mirrored=other < error / 2)
