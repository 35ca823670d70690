"""A wrapper for the transforms of ``torchvision.transforms.v2``."""

from collections.abc import Callable

import torch
from torch import Tensor

from facerec.errors import InputError


class Torchvision:
    """Applies a torchvision transform to one image at a time, which is slower than the other transforms.

    Torchvision draws its random numbers once per call, so a batch at once would get the same change for all images.

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
            for index, seed in enumerate((random[:, 0] * 2**24).long().tolist()):
                torch.manual_seed(seed)
                image = self.transform((images[index] + 1) / 2)
                if image.shape != changed[index].shape:
                    sizes = f"{list(changed[index].shape)} to {list(image.shape)}"
                    name = type(self.transform).__name__
                    raise InputError(f"{name} changes an image {sizes}: use a transform that keeps the size")
                changed[index] = image
        return changed.mul_(2).sub_(1)
