"""Augmentation of images together with their masks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facerec.checks import check_transforms
from facerec.data.augmentation.affine import Affine
from facerec.data.augmentation.random_numbers import Transform, with_fixed_numbers, with_numbers


def check_transforms_with_masks(key: str, value: Any) -> None:
    """Check for transforms by name that do not move an image without its mask."""
    check_transforms(key, value)
    for name, transform in value.items():
        if not isinstance(transform, Affine) and not getattr(transform, "keeps_positions", False):
            problem = f"{key}.{name} may move an image, and its mask would stay"
            raise ValueError(f"{problem}: leave it out, or set keeps_positions=True in its class if it moves nothing")


def augment_batch_with_masks(
    images: Tensor, masks: Tensor, transforms: Mapping[str, Transform], seed: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Apply each of the named ``transforms`` to a training batch, images ``(B, 3, H, W)`` and masks ``(B, H, W)``.

    The random numbers are those of `augment_batch`.
    """
    for transform, numbers in with_numbers(len(images), transforms, seed):
        random = numbers.to(images.device, non_blocking=True)
        images = transform(images, random)
        masks = transform.move_masks(masks, random) if isinstance(transform, Affine) else masks
    return images, masks


def move_mask(
    mask: np.ndarray, transforms: Mapping[str, Transform], index: int, source: str, image_size: Sequence[int]
) -> np.ndarray:
    """Move the mask ``(H, W)`` of image ``index`` of ``source`` as `augment_images` moves the image.

    The image, of ``image_size`` (height, width), shows the same as the mask, and may have another aspect ratio.
    """
    masks = torch.from_numpy(mask)[None]
    for transform, random in with_fixed_numbers(torch.tensor([index]), transforms, source):
        masks = transform.move_masks(masks, random, image_size) if isinstance(transform, Affine) else masks
    return masks[0].numpy()
