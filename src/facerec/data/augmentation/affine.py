"""Rotation, shear, scale and translation as separate transforms, for the sensitivity study of the TVConv paper (arXiv
2203.10489).

Interpolation is bilinear; pixels from outside the image are black, as after alignment. ``strength`` multiplies the
range, so that a study can vary all transforms by one setting.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from facerec.checks import check_number


class Affine(ABC):
    """A transform that resamples an image by an affine map, and its mask by the same.

    Attributes:
        outside: what is outside of the image: black ("zeros"), or the pixels at its border ("border").
    """

    num_random: int
    outside = "zeros"

    @abstractmethod
    def place(self, random: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the matrices and shifts of `warp` for random numbers ``(B, num_random)``."""

    def __call__(self, images: Tensor, random: Tensor) -> Tensor:
        return warp(images, *self.place(random), outside=self.outside)

    def move_masks(self, masks: Tensor, random: Tensor, image_size: Sequence[int] | None = None) -> Tensor:
        """Resample integer masks ``(B, H, W)`` as the images, each pixel from the nearest; what is outside is 0.

        ``image_size`` is the height and width of the images, if it is not that of their masks.
        """
        darker = masks.float().sub_(1)[:, None]  # what `warp` fills with is then 0
        moved = warp(darker, *self.place(random), mode="nearest", outside=self.outside, pixels_of=image_size)
        return moved.add_(1)[:, 0].to(masks.dtype)


class Rotation(Affine):
    """Rotation about the centre by an angle uniform in ± ``degrees``."""

    num_random = 1

    def __init__(self, degrees: float = 15.0, strength: float = 1.0) -> None:
        self.degrees = _product("degrees", degrees, strength)

    def place(self, random: Tensor) -> tuple[Tensor, Tensor | None]:
        angle = torch.deg2rad(_symmetric(random[:, 0], self.degrees))
        cos, sin = angle.cos(), angle.sin()
        return torch.stack((cos, sin, -sin, cos), dim=1).view(-1, 2, 2), None


class Shear(Affine):
    """Horizontal shear about the centre by an angle uniform in ± ``degrees``."""

    num_random = 1

    def __init__(self, degrees: float = 15.0, strength: float = 1.0) -> None:
        self.degrees = _product("degrees", degrees, strength)
        if self.degrees >= 90:
            raise ValueError(f"degrees * strength must be below 90, got {self.degrees:g}")

    def place(self, random: Tensor) -> tuple[Tensor, Tensor | None]:
        slope = torch.deg2rad(_symmetric(random[:, 0], self.degrees)).tan()
        one, zero = torch.ones_like(slope), torch.zeros_like(slope)
        return torch.stack((one, slope, zero, one), dim=1).view(-1, 2, 2), None


class Scale(Affine):
    """Scaling about the centre by a factor uniform in 1 ± ``spread``."""

    num_random = 1

    def __init__(self, spread: float = 0.2, strength: float = 1.0) -> None:
        self.spread = _product("spread", spread, strength)
        if self.spread >= 1:
            raise ValueError(f"spread * strength must be below 1, got {self.spread:g}")

    def place(self, random: Tensor) -> tuple[Tensor, Tensor | None]:
        size = 1 + _symmetric(random[:, 0], self.spread)
        return torch.eye(2, device=random.device) / size[:, None, None], None


class Translation(Affine):
    """Translation by a fraction of the width and a fraction of the height, both uniform in ± ``share``."""

    num_random = 2

    def __init__(self, share: float = 0.1, strength: float = 1.0) -> None:
        self.share = _product("share", share, strength)

    def place(self, random: Tensor) -> tuple[Tensor, Tensor | None]:
        identity = torch.eye(2, device=random.device).expand(len(random), 2, 2)
        return identity, _symmetric(random, self.share)


def warp(
    images: Tensor,
    matrices: Tensor,
    shifts: Tensor | None = None,
    mode: str = "bilinear",
    outside: str = "zeros",
    pixels_of: Sequence[int] | None = None,
) -> Tensor:
    """Resample images by an affine transform per image.

    Args:
        images: ``(B, C, H, W)`` in [-1, 1].
        matrices: ``(B, 2, 2)``, from positions in the result to positions in the image, pixels (x, y) from the centre.
        shifts: ``(B, 2)``, translation of the image to the right and down, as fractions of its width and height.
        mode: interpolation, bilinear or nearest.
        outside: see `Affine`.
        pixels_of: (height, width) of an image of the same scene, in whose pixels the positions are; None: this one's.
    """
    height, width = images.shape[-2:] if pixels_of is None else pixels_of
    # affine_grid's coordinates range from -1 to 1 along both sides, whatever their lengths.
    sides = torch.tensor([width, height], device=images.device)
    linear = matrices * (sides / sides[:, None])
    offset = torch.zeros_like(linear[:, :, :1]) if shifts is None else linear @ (-2 * shifts[:, :, None])
    grid = F.affine_grid(torch.cat((linear, offset), dim=2), list(images.shape), align_corners=False)
    black = -1.0  # grid_sample can only pad with zeros
    grid = grid.to(images.dtype)
    warped = F.grid_sample(images - black, grid, mode, padding_mode=outside, align_corners=False) + black
    return warped.contiguous(memory_format=torch.channels_last)


def _symmetric(random: Tensor, half: float) -> Tensor:
    """Map uniform numbers in [0, 1) to [-half, half)."""
    return (2 * random - 1) * half


def _product(name: str, value: float, strength: float) -> float:
    """Return ``value * strength``; raise `ValueError` unless all three are finite and at least 0."""
    check_number(name, value)
    check_number("strength", strength)
    check_number(f"{name} * strength", value * strength)
    return value * strength
