"""How far two networks predict the same masks, such as a checkpoint and its exported file."""

from typing import NamedTuple

import numpy as np

from facerec.segmentation.mask_scoring import dice


class Agreement(NamedTuple):
    """Shares from 0 to 1.

    Attributes:
        equal_pixels: pixels of which both networks say the same about each structure.
        least_equal_pixels: the same in the image where it is least.
        dice: of one network's structures with the other's, the least over structures, with all images together.
    """

    equal_pixels: float
    least_equal_pixels: float
    dice: float


def agreement(first: np.ndarray, second: np.ndarray) -> Agreement:
    """Compare predictions, bool ``(N, classes, H, W)``, of two networks for the same images.

    Raises:
        ValueError: they are not of one shape.
    """
    if first.shape != second.shape or first.ndim != 4:
        shapes = f"{first.shape} and {second.shape}"
        raise ValueError(f"predictions of shapes {shapes} cannot be compared: give two of (images, classes, H, W)")
    equal = (first == second).all(axis=1).mean(axis=(1, 2))
    pooled = (both.swapaxes(0, 1).reshape(both.shape[1], -1, both.shape[3]) for both in (first, second))
    overlaps = [dice(one, other) for one, other in zip(*pooled, strict=True)]
    return Agreement(float(equal.mean()), float(equal.min()), min(overlaps))
