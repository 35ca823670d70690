"""Warping of an image into the aligned face, without aliasing."""

import math
from collections.abc import Mapping

import cv2
import numpy as np

BORDERS: Mapping[str, int] = {
    "constant": cv2.BORDER_CONSTANT,
    "replicate": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
}
_LEAST_SCALE = 0.5  # below it, bilinear sampling skips pixels
_MOST_SAMPLES = 4


def warp(image: np.ndarray, matrix: np.ndarray, size: int, border: str = "constant") -> np.ndarray:
    """Warp ``image``, uint8 ``(H, W, 3)``, by the similarity ``matrix`` ``(2, 3)`` into ``(size, size, 3)``.

    Interpolation is bilinear, as is customary, for faces of up to twice ``size``. For larger faces up to 4 x 4 samples
    are averaged per pixel; an image for which these would be too few is first shrunk by area averaging. ``border`` is a
    key of `BORDERS`; the constant border is black.
    """
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    samples = 1 if scale >= _LEAST_SCALE else min(math.ceil(1 / scale), _MOST_SAMPLES)
    if scale < 1 / _MOST_SAMPLES:
        image, matrix = _shrunk(image, matrix, scale * _MOST_SAMPLES)
    matrix = _after(matrix, _resizing(samples, samples))
    sampled = cv2.warpAffine(
        image, matrix, (samples * size, samples * size), flags=cv2.INTER_LINEAR, borderMode=BORDERS[border]
    )
    return cv2.resize(sampled, (size, size), interpolation=cv2.INTER_AREA) if samples > 1 else sampled


def _shrunk(image: np.ndarray, matrix: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Shrink ``image`` by about ``factor``; returns it with the ``matrix`` from the smaller image to the result."""
    height, width = image.shape[:2]
    new_height, new_width = max(1, round(height * factor)), max(1, round(width * factor))
    small = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_AREA)
    return small, _after(_resizing(width / new_width, height / new_height), matrix)


def _resizing(x: float, y: float) -> np.ndarray:
    """Return the affine transform of pixel centres by a resize."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])


def _after(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compose two affine matrices: ``first``, then ``second``."""
    return (np.vstack([second, [0, 0, 1]]) @ np.vstack([first, [0, 0, 1]]))[:2]
