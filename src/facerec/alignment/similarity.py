"""The five points that an aligned face has in common with all others, and the similarity transform that takes a face
there.

Points are ``(x, y)``; whole numbers are the centres of pixels, as OpenCV counts. Left and right are the viewer's.
"""

import numpy as np

from facerec.errors import InputError

POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
_SIDE = 112
# ArcFace, arXiv 1801.07698, and its descendants: eye centres, tip of the nose, corners of the mouth.
_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
_MIRRORED = [1, 0, 2, 4, 3]


def template(size: int) -> np.ndarray:
    """Where `POINTS` belong in an image of ``size`` x ``size``, float64 ``(5, 2)``.

    Another size than 112 is the 112 template resized, pixel centres and all: a face aligned to 96 shows what the same
    face aligned to 112 shows after a resize. (Some programs multiply the coordinates instead, which at 96 lies 0.07
    pixels from here.)
    """
    return (_TEMPLATE + 0.5) * (size / _SIDE) - 0.5


def fit_similarity(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The rotation, uniform scale and shift, without reflection, that takes ``points`` closest to ``targets`` in least
    squares (Umeyama, TPAMI 1991), as a float64 ``(2, 3)`` matrix.

    Both are ``(N, 2)``; rows with NaN in ``points`` are left out. `InputError` where fewer than two points are left, or
    all in one place.
    """
    known = np.isfinite(points).all(axis=1)
    if known.sum() < 2:
        raise InputError(f"{known.sum()} of the face's points are known: alignment needs two or more")
    # In the plane a rotation with scale is one complex factor, and its least-squares fit a quotient.
    source, target = (array[known] @ (1, 1j) for array in (points, targets))
    centred = source - source.mean()
    if not abs(centred).max() > 1e-6:
        raise InputError("all points of the face lie in one place: correct its landmarks")
    factor = np.vdot(centred, target - target.mean()) / np.vdot(centred, centred).real
    shift = target.mean() - factor * source.mean()
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def transform(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """``points`` ``(N, 2)`` after the affine ``matrix`` ``(2, 3)``."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def residual(points: np.ndarray, targets: np.ndarray) -> float:
    """Root of the mean squared distance between the known rows of ``points`` and ``targets``."""
    return float(np.sqrt(np.nanmean(((points - targets) ** 2).sum(axis=1))))


def mirrored(points: np.ndarray) -> np.ndarray:
    """`POINTS` with left and right exchanged."""
    return points[_MIRRORED]
