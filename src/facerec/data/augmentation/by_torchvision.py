"""Any other transform, by its name in ``torchvision.transforms.v2``."""

from collections.abc import Callable

import torch
from torch import Tensor

from facerec.errors import InputError


class Torchvision:
    """Image by image, since torchvision draws its random numbers once a call: slower than the other transforms.

    Args:
        transform: takes an image ``(3, H, W)`` in [0, 1] and returns one of the same size.
    """

    num_random = 1

    def __init__(self, transform: Callable[[Tensor], Tensor]) -> None:
        if not callable(transform):
            raise ValueError(f"transform must be one of torchvision.transforms.v2, got {transform!r}")
        self.transform = transform

    def __call__(self, images: Tensor, random: Tensor) -> Tensor:
        changed = torch.empty_like(images)
        with torch.random.fork_rng([images.device] if images.is_cuda else []):
            for place, seed in enumerate((random[:, 0] * 2**24).long().tolist()):
                torch.manual_seed(seed)
                changed[place] = self._same_size(self.transform((images[place] + 1) / 2), images[place])
        return changed.mul_(2).sub_(1)

    def _same_size(self, changed: Tensor, image: Tensor) -> Tensor:
        if changed.shape != image.shape:
            raise InputError(
                f"{type(self.transform).__name__} makes {list(changed.shape)} of an image {list(image.shape)}: take a "
                "transform that keeps the size"
            )
        return changed
