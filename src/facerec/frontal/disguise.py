"""What is changed at random in a training image so that only the pose tells frontal from profile."""

import numpy as np
import torch
from torch import Tensor

from facerec.data.augmentation.affine import Rotation, Scale, Translation
from facerec.data.augmentation.jitter import Jitter
from facerec.data.augmentation.low_resolution import LowResolution
from facerec.data.augmentation.random_numbers import augment_batch
from facerec.data.images import flip_at_random
from facerec.frontal.borders import GREY, partners

_PLACE = {"rotation": Rotation(15.0), "scale": Scale(0.2), "translation": Translation(0.1)}
_QUALITY = {"low_resolution": LowResolution(0.5, 0.4), "jitter": Jitter(0.3, 0.4, 0.8, 0.1)}


def disguise(images: Tensor, borders: Tensor, is_frontal: Tensor, seed: tuple[int, ...]) -> Tensor:
    """Images that wear two borders each, their own and that of a random image of the other pose, in another place and
    size, with another sharpness, light and side.

    Whatever the pose, an image then wears one border of either: the border says nothing about it any more.

    Args:
        images: float ``(B, 3, H, W)`` in [-1, 1].
        borders: bool ``(B, H, W)``, of each image.
        is_frontal: bool ``(B,)``; an image keeps its own border alone where the batch holds no other pose.
        seed: all random numbers follow from it.
    """
    borders = borders | borders[partners(is_frontal, _generator(seed))]
    # As a fourth colour the borders go where the image goes; what comes from outside is -1 there too.
    covered = torch.cat((images, 1 - 2 * borders[:, None].float()), dim=1)
    covered = flip_at_random(augment_batch(covered, _PLACE, seed), seed)
    images, is_border = covered[:, :3], covered[:, 3:] < 0.5
    images = images.masked_fill(is_border, GREY)  # before blurring, which would carry the border's edge inside
    return augment_batch(images, _QUALITY, seed).masked_fill(is_border, GREY)


def _generator(seed: tuple[int, ...]) -> torch.Generator:
    return torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
