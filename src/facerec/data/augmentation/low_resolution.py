"""Images as a small picture of the face would have been."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from facerec.checks import check_number


class LowResolution:
    """Down to a share of its size and up again, bilinearly, the first without aliasing.

    Args:
        probability: that an image is changed.
        smallest: share of the sides; the size is uniform from it to 1.
    """

    num_random = 2

    def __init__(self, probability: float = 0.5, smallest: float = 0.25) -> None:
        check_number("probability", probability, 0, 1)
        check_number("smallest", smallest, 0, 1)
        if smallest == 0:
            raise ValueError("smallest must be a share above 0, got 0")
        self.probability, self.smallest = probability, smallest

    def __call__(self, images: Tensor, random: Tensor) -> Tensor:
        share = torch.where(random[:, 0] < self.probability, self._share(random[:, 1]), 1.0)
        rows, columns = (_chosen(side, share) for side in images.shape[-2:])
        changed = rows[:, None] @ images @ columns.transpose(1, 2)[:, None]
        return changed.contiguous(memory_format=torch.channels_last)

    def _share(self, random: Tensor) -> Tensor:
        return self.smallest + random * (1 - self.smallest)


def _chosen(side: int, share: Tensor) -> Tensor:
    """For each image the matrix that takes a side down and up, ``(B, side, side)``."""
    sizes = (share * side).round().long().clamp(1, side)
    return _matrices(side, share.device)[sizes - 1]


@lru_cache(maxsize=4)
def _matrices(side: int, device: torch.device) -> Tensor:
    """Resampling is linear, so what it does to the unit vectors says all: a matrix for each size from 1 to ``side``."""
    units = torch.eye(side)[None, None]
    found = []
    for size in range(1, side + 1):
        small = F.interpolate(units, (size, side), mode="bilinear", antialias=True)
        found.append(F.interpolate(small, (side, side), mode="bilinear")[0, 0])
    return torch.stack(found).to(device)
