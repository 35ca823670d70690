"""What is changed at random in a training image so that only the pose tells frontal from profile."""

import numpy as np
import torch
from torch import Tensor

from facerec.data.augmentation.affine import warp
from facerec.data.augmentation.jitter import Jitter
from facerec.data.augmentation.low_resolution import LowResolution
from facerec.data.augmentation.random_numbers import augment_batch
from facerec.data.loading import flip_at_random
from facerec.frontal.borders import partners

_DEGREES, _SCALE, _SHIFT = 15.0, (0.85, 1.3), 0.1
_QUALITY = {"low_resolution": LowResolution(0.5, 0.4), "jitter": Jitter(0.3, 0.4, 0.8, 0.1)}


def disguise(images: Tensor, borders: Tensor, is_frontal: Tensor, seed: tuple[int, ...]) -> Tensor:
    """Images that wear two borders each, their own and that of a random image of the other pose, in another place and
    size, with another sharpness, light and side.

    Whatever the pose, an image then wears one border of either: the border says nothing about it any more. Its shade is
    random, so that it is nothing to look for.

    Args:
        images: float ``(B, 3, H, W)`` in [-1, 1].
        borders: bool ``(B, H, W)``, of each image.
        is_frontal: bool ``(B,)``; an image keeps its own border alone where the batch holds no other pose.
        seed: all random numbers follow from it.
    """
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence((*seed, 1)).generate_state(1)[0]))
    borders = borders | borders[partners(is_frontal, generator).to(borders.device)]
    # As a fourth colour the borders go where the image goes; what comes from outside is -1 there too.
    covered = torch.cat((images, 1 - 2 * borders[:, None].float()), dim=1)
    covered = flip_at_random(_moved(covered, generator), seed)
    images, is_border = covered[:, :3], covered[:, 3:] < 0
    shade = (torch.rand(len(images), 3, 1, 1, generator=generator) - 0.5).to(images.device)
    images = torch.where(is_border, shade, images)  # before blurring, which would carry the border's edge inside
    return torch.where(is_border, shade, augment_batch(images, _QUALITY, seed))


def _moved(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image turned, scaled and shifted by its own numbers."""
    random = torch.rand(len(images), 4, generator=generator).to(images.device)
    angle = torch.deg2rad((2 * random[:, 0] - 1) * _DEGREES)
    size = _SCALE[0] + (_SCALE[1] - _SCALE[0]) * random[:, 1]
    turn = torch.stack((angle.cos(), angle.sin(), -angle.sin(), angle.cos()), dim=1).view(-1, 2, 2)
    return warp(images, turn / size[:, None, None], (2 * random[:, 2:] - 1) * _SHIFT)
