"""Simulation of low-resolution images."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from facerec.checks import check_number


class LowResolution:
    """Shrinks an image to a fraction of its size, with antialiasing, and enlarges it again, both bilinearly.

    Args:
        probability: probability that an image is changed.
        smallest: smallest fraction of the sides; the fraction is uniform between it and 1.
    """

    num_random = 2
    keeps_positions = True

    def __init__(self, probability: float = 0.5, smallest: float = 0.25) -> None:
        check_number("probability", probability, 0, 1)
        check_number("smallest", smallest, 0, 1)
        if smallest == 0:
            raise ValueError("smallest must be a fraction above 0, got 0")
        self.probability, self.smallest = probability, smallest

    def __call__(self, images: Tensor, random: Tensor) -> Tensor:
        fraction = self.smallest + random[:, 1] * (1 - self.smallest)
        fraction = torch.where(random[:, 0] < self.probability, fraction, 1.0)
        rows, columns = (_chosen(side, fraction) for side in images.shape[-2:])
        changed = rows[:, None] @ images @ columns.transpose(1, 2)[:, None]
        return changed.contiguous(memory_format=torch.channels_last)


def _chosen(side: int, fraction: Tensor) -> Tensor:
    """Return for each image the matrix that shrinks and enlarges a side, ``(B, side, side)``."""
    sizes = (fraction * side).round().long().clamp(1, side)
    return _matrices(side, fraction.device)[sizes - 1]


@lru_cache(maxsize=4)
def _matrices(side: int, device: torch.device) -> Tensor:
    """Compute the matrices for all sizes from 1 to ``side``: resampling is linear, so it is applied to unit vectors."""
    units = torch.eye(side)[None, None]
    small = (F.interpolate(units, (size, side), mode="bilinear", antialias=True) for size in range(1, side + 1))
    return torch.cat([F.interpolate(rows, (side, side), mode="bilinear")[0] for rows in small]).to(device)
