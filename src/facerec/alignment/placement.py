"""The placement of a face in its image: the interface of all sources of landmarks, and the fit to the template."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from facerec.errors import InputError

_SMALLEST_FACE = 4  # side in pixels: landmarks given as fractions of the image's sides make a face of about 1 pixel
_LARGEST_FACE = 10  # times the image


@dataclass(frozen=True)
class Placement:
    """The transform of a face into its aligned image.

    Attributes:
        matrix: affine ``(2, 3)``, from the pixels of the source to those of the result.
        points: `POINTS` in the result, ``(5, 2)``, NaN where unknown; None if no landmarks were used.
        residual: root mean square distance from the template in pixels of the result; None if no landmarks were used.
        is_mirrored: whether the points fit much better with left and right exchanged.
    """

    matrix: np.ndarray
    points: np.ndarray | None = None
    residual: float | None = None
    is_mirrored: bool = False


class FacePlacer(Protocol):
    """The interface of all sources of face positions. An implementation can be pickled and used in workers.

    Attributes:
        version: raised when the class places a face differently than before, so that its faces are made again.
    """

    version: ClassVar[int]

    def key(self, path: str) -> str:
        """Return everything but the image itself that determines the placement of image ``path``."""
        ...

    def place(self, path: str, image: np.ndarray, size: int) -> Placement:
        """Place the face of ``image``, uint8 RGB ``(H, W, 3)``; raise `InputError` with the reason if there is none."""
        ...


def place_points(points: np.ndarray, image: np.ndarray, size: int) -> Placement:
    """Fit the landmarks ``points`` ``(5, 2)`` to the template; raise `InputError` if they cannot belong to a face in
    ``image``."""
    targets = template(size)
    height, width = image.shape[:2]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # invalid results are refused below
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


POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
_SIDE = 112
# ArcFace, arXiv 1801.07698, and its descendants: eye centres, tip of the nose, corners of the mouth.
_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
_MIRRORED = [1, 0, 2, 4, 3]


def template(size: int) -> np.ndarray:
    """Return the positions of `POINTS` in an image of ``size`` x ``size``, float64 ``(5, 2)``.

    For sizes other than 112 the template is resized with respect to pixel centres, so that a face aligned to 96 shows
    the same as the face aligned to 112 and then resized. (Some programs multiply the coordinates instead, which at 96
    differs by 0.07 pixels.)
    """
    return (_TEMPLATE + 0.5) * (size / _SIDE) - 0.5


def alignment(image_size: tuple[int, int]) -> dict[str, object]:
    """Return, for `json.dump`, how a face becomes an image of ``(height, width)``, for programs that do it themselves.

    A face is aligned to a square, which an oblong image shows stretched.
    """
    height, width = image_size
    positions = (_TEMPLATE + 0.5) * (np.array([width, height]) / _SIDE) - 0.5
    return {
        "fit": "five points are brought to these positions, in pixels counted from 0 at the centre of the first one, "
        "by rotation, scale and shift, by least squares; what is outside the photograph is black",
        "points": list(POINTS),
        "positions": positions.round(4).tolist(),
    }


def fit_similarity(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Fit a similarity transform, without reflection, from ``points`` to ``targets`` by least squares (Umeyama, TPAMI
    1991); returns a float64 ``(2, 3)`` matrix.

    Both are ``(N, 2)``; rows with NaN in ``points`` are left out. Raises `InputError` if fewer than two points are
    left, or if they coincide.
    """
    known = np.isfinite(points).all(axis=1)
    if known.sum() < 2:
        raise InputError(f"{known.sum()} of the face's points are known: alignment needs two or more")
    # In the plane, rotation with scale is one complex factor, and its least-squares fit is a quotient.
    source, target = (array[known] @ (1, 1j) for array in (points, targets))
    centred = source - source.mean()
    if not abs(centred).max() > 1e-6:
        raise InputError("all points of the face lie in one place: correct its landmarks")
    factor = np.vdot(centred, target - target.mean()) / np.vdot(centred, centred).real
    shift = target.mean() - factor * source.mean()
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def transform(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply the affine ``matrix`` ``(2, 3)`` to ``points`` ``(N, 2)``."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def residual(points: np.ndarray, targets: np.ndarray) -> float:
    """Return the root mean squared distance between the known rows of ``points`` and ``targets``."""
    return float(np.sqrt(np.nanmean(((points - targets) ** 2).sum(axis=1))))


def mirrored(points: np.ndarray) -> np.ndarray:
    """Exchange left and right of ``points``, which are in the order of `POINTS`."""
    return points[_MIRRORED]
