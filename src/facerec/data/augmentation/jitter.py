"""Photometric jitter of images."""

import torch
from torch import Tensor

from facerec.checks import check_number


class Jitter:
    """Changes brightness, contrast and saturation, in this order, by factors uniform in 1 ± their argument.

    After each step values are clipped to black and white. Some images lose all colour, at random.

    Args:
        brightness: range of the factor of all pixels.
        contrast: range of the factor of the difference from the image's mean grey.
        saturation: range of the factor of the difference from each pixel's grey.
        grey: probability that the image becomes grey.
    """

    num_random = 4
    keeps_positions = True

    def __init__(
        self, brightness: float = 0.2, contrast: float = 0.2, saturation: float = 0.2, grey: float = 0.1
    ) -> None:
        ranges = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "grey": grey}
        for name, value in ranges.items():
            check_number(name, value, 0, 1)
        self._ranges, self.grey = (brightness, contrast, saturation), grey

    def __call__(self, images: Tensor, random: Tensor) -> Tensor:
        factors = 1 + (2 * random[:, :3] - 1) * random.new_tensor(self._ranges)
        brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
        pixels = ((images + 1) / 2 * brightness).clamp_(0, 1)
        mean = luminance(pixels).mean((1, 2, 3), keepdim=True)
        pixels = torch.lerp(mean, pixels, contrast).clamp_(0, 1)
        is_grey = (random[:, 3] < self.grey)[:, None, None, None]
        saturation = torch.where(is_grey, torch.zeros_like(saturation), saturation)
        return torch.lerp(luminance(pixels), pixels, saturation).clamp_(0, 1).mul_(2).sub_(1)


def luminance(pixels: Tensor) -> Tensor:
    """Convert RGB ``(B, 3, H, W)`` to grey ``(B, 1, H, W)`` (ITU-R BT.601)."""
    red, green, blue = pixels.split(1, dim=1)
    return 0.2989 * red + 0.587 * green + 0.114 * blue
