"""The floor of every table: one mask for all images, which a network that looks at them has to beat."""

from collections.abc import Iterable

import cv2
import numpy as np

from facerec.segmentation.mask_scoring import labelled, structures


def constant_mask(masks: Iterable[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Return the mask of what is cup, or disc, in more than half of ``masks``: uint8 ``(H, W)`` of ``size``.

    The masks, uint8 ``(h, w)``, may have different sizes; each counts the same. Raises `ValueError` without any.
    """
    total, number = np.zeros((2, *size)), 0
    for mask in masks:
        total, number = total + [_resized(one, size) for one in structures(mask)], number + 1
    if not number:
        raise ValueError("there are no masks to take the mean of: give those of the training images")
    return labelled(*(total / number > 0.5))


def _resized(structure: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    shrinks = structure.shape[0] >= size[0] and structure.shape[1] >= size[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(structure.astype(np.float32), (size[1], size[0]), interpolation=how)
