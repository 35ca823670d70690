"""Random erasing (Zhong et al., arXiv 1708.04896)."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from facerec.checks import check_number


class Erasing:
    """Replaces a random rectangle of the image by a uniform grey.

    Args:
        probability: probability that an image is changed.
        area: smallest and largest fraction of the image's area.
        ratio: smallest and largest ratio of height to width; its logarithm is drawn uniformly.
        value: grey level of the rectangle, from -1 (black) to 1 (white).
    """

    num_random = 5
    keeps_positions = True

    def __init__(
        self,
        probability: float = 0.5,
        area: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float = 0.0,
    ) -> None:
        check_number("probability", probability, 0, 1)
        if not _is_range(area, 1):
            raise ValueError(f"area must be two fractions from above 0 to 1, the smaller first, got {area!r}")
        if not _is_range(ratio, math.inf):
            raise ValueError(f"ratio must be two numbers above 0, the smaller first, got {ratio!r}")
        check_number("value", value, -1, 1)
        self.probability, self.area, self.ratio, self.value = probability, area, ratio, value

    def __call__(self, images: Tensor, random: Tensor) -> Tensor:
        top, left, height, width = self.rectangles(images.shape[-2:], random).unbind(1)
        rows, columns = (torch.arange(side, device=images.device) for side in images.shape[-2:])
        inside_rows = (rows >= top[:, None]) & (rows < (top + height)[:, None])
        inside_columns = (columns >= left[:, None]) & (columns < (left + width)[:, None])
        erased = (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]
        return torch.where(erased, torch.full_like(images[:1, :1, :1, :1], self.value), images)

    def rectangles(self, size: torch.Size, random: Tensor) -> Tensor:
        """Return top, left, height and width in pixels, int64 ``(B, 4)``; the height is 0 if nothing is erased.

        A side that is longer than the image's is cut to it.
        """
        coin, area, ratio, down, right = random.unbind(1)
        pixels = size[0] * size[1] * torch.lerp(*_bounds(self.area, area), area)
        ratio = torch.lerp(*_bounds([math.log(end) for end in self.ratio], ratio), ratio).exp()
        height = (pixels * ratio).sqrt().round().clamp(1, size[0]) * (coin < self.probability)
        width = (pixels / ratio).sqrt().round().clamp(1, size[1])
        top, left = (down * (size[0] - height + 1)).floor(), (right * (size[1] - width + 1)).floor()
        return torch.stack((top, left, height, width), dim=1).long()


def _is_range(ends: Any, most: float) -> bool:
    try:
        least, largest = ends
        return bool(0 < least <= largest <= most and largest < math.inf)
    except (TypeError, ValueError):  # not two values, or not numbers
        return False


def _bounds(ends: Sequence[float], like: Tensor) -> tuple[Tensor, Tensor]:
    return torch.full_like(like, ends[0]), torch.full_like(like, ends[1])
