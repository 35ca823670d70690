"""The black borders of aligned faces.

Alignment by a similarity transform leaves pixels black where the aligned face extends beyond the photograph. CFP's
profile images were cropped more tightly than its frontal ones, so that the shape of the border alone tells the poses
apart almost without error: a classifier that sees it learns little else.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from facerec.data.augmentation.affine import warp
from facerec.data.augmentation.jitter import Jitter
from facerec.data.augmentation.low_resolution import LowResolution
from facerec.data.augmentation.random_numbers import augment_batch
from facerec.data.decode import resize
from facerec.data.loading import flip_at_random

GREY = np.uint8(128)  # colour of covered borders: almost 0 after normalisation
_DARK = 20  # of 255: JPEG leaves a black border slightly brighter than 0
_GROWTH = np.ones((5, 5), np.uint8)  # the ringing of JPEG at a border's edge reaches a few pixels into the image


def border_mask(image: np.ndarray) -> np.ndarray:
    """Return where uint8 RGB ``(H, W, 3)`` is dark and connected to its edge, dilated by 2 pixels: bool ``(H, W)``."""
    _, parts = cv2.connectedComponents((image.max(axis=2) <= _DARK).astype(np.uint8))
    edge = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    mask = np.isin(parts, np.unique(edge[edge > 0]))
    return cv2.dilate(mask.astype(np.uint8), _GROWTH).astype(bool)


def covered(image: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Resize an image and cover its black border with mid-grey.

    Args:
        image: uint8 RGB ``(H, W, 3)``.
        size: side S of the result in pixels.

    Returns:
        The image, uint8 ``(S, S, 3)``, and its border mask, bool ``(S, S)``.
    """
    resized = np.empty((size, size, 3), np.uint8)
    resize(image, resized)
    border = border_mask(resized)
    return np.where(border[..., None], GREY, resized), border


def partners(is_frontal: Tensor, generator: torch.Generator) -> Tensor:
    """Choose for each image of a batch the index of a random image of the other pose, or its own if there is none.

    The result is on the CPU.
    """
    is_frontal, partner = is_frontal.cpu(), torch.arange(len(is_frontal))
    for pose in (True, False):
        same, other = (is_frontal == pose).nonzero()[:, 0], (is_frontal != pose).nonzero()[:, 0]
        if len(other):
            partner[same] = other[torch.randint(len(other), (len(same),), generator=generator)]
    return partner


_DEGREES, _SCALE, _SHIFT = 15.0, (0.85, 1.3), 0.1
_QUALITY = {"low_resolution": LowResolution(0.5, 0.4), "jitter": Jitter(0.3, 0.4, 0.8, 0.1)}


def disguise(images: Tensor, borders: Tensor, is_frontal: Tensor, seed: tuple[int, ...]) -> Tensor:
    """Augment images and give each two borders, its own and that of a random image of the other pose.

    Every image then has one border of either pose, so the border carries no information about the pose. Its shade is
    random, so that the classifier cannot look for it. Position, size, sharpness, light and flip are random too.

    Args:
        images: float ``(B, 3, H, W)`` in [-1, 1].
        borders: bool ``(B, H, W)``, the border mask of each image.
        is_frontal: bool ``(B,)``; if the batch has only one pose, an image gets only its own border.
        seed: determines all random numbers.
    """
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence((*seed, 1)).generate_state(1)[0]))
    borders = borders | borders[partners(is_frontal, generator).to(borders.device)]
    # The borders are a fourth channel, so they are transformed with the image; pixels from outside are -1 there too.
    covered = torch.cat((images, 1 - 2 * borders[:, None].float()), dim=1)
    covered = flip_at_random(_moved(covered, generator), seed)
    images, is_border = covered[:, :3], covered[:, 3:] < 0
    shade = (torch.rand(len(images), 3, 1, 1, generator=generator) - 0.5).to(images.device)
    images = torch.where(is_border, shade, images)  # before blurring, which would spread the border's edge inwards
    return torch.where(is_border, shade, augment_batch(images, _QUALITY, seed))


def _moved(images: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate, scale and shift each image by its own random amounts."""
    random = torch.rand(len(images), 4, generator=generator).to(images.device)
    angle = torch.deg2rad((2 * random[:, 0] - 1) * _DEGREES)
    size = _SCALE[0] + (_SCALE[1] - _SCALE[0]) * random[:, 1]
    rotation = torch.stack((angle.cos(), angle.sin(), -angle.sin(), angle.cos()), dim=1).view(-1, 2, 2)
    return warp(images, rotation / size[:, None, None], (2 * random[:, 2:] - 1) * _SHIFT)
