"""The black borders of aligned faces.

Alignment by a similarity transform leaves black where it reaches beyond the photograph. CFP's profile images were
cropped more tightly than its frontal ones, so that the shape of the border alone tells the poses apart almost without
error: a classifier that sees it learns little else.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from facerec.data.decode import resize

GREY = np.uint8(128)  # what covers a border: next to 0 when normalised
_DARK = 20  # of 255: JPEG leaves some light in a black border
_GROWTH = np.ones((5, 5), np.uint8)  # the ringing of JPEG at a border's edge reaches a few pixels into the image


def border_mask(image: np.ndarray) -> np.ndarray:
    """Where uint8 RGB ``(H, W, 3)`` is dark and connected to its edge, and two pixels around: bool ``(H, W)``."""
    _, parts = cv2.connectedComponents((image.max(axis=2) <= _DARK).astype(np.uint8))
    edge = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    mask = np.isin(parts, np.unique(edge[edge > 0]))
    return cv2.dilate(mask.astype(np.uint8), _GROWTH).astype(bool)


def covered(image: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The image in ``size`` pixels, its border covered by mid-grey, and where that is.

    Args:
        image: uint8 RGB ``(H, W, 3)``.
        size: S of the results, uint8 ``(S, S, 3)`` and bool ``(S, S)``.
    """
    resized = np.empty((size, size, 3), np.uint8)
    resize(image, resized)
    border = border_mask(resized)
    return np.where(border[..., None], GREY, resized), border


def partners(is_frontal: Tensor, generator: torch.Generator) -> Tensor:
    """For each image of a batch the number of a random one of the other pose, or its own where there is none; on the
    CPU."""
    is_frontal, partner = is_frontal.cpu(), torch.arange(len(is_frontal))
    for pose in (True, False):
        here, there = (is_frontal == pose).nonzero()[:, 0], (is_frontal != pose).nonzero()[:, 0]
        if len(there):
            partner[here] = there[torch.randint(len(there), (len(here),), generator=generator)]
    return partner
