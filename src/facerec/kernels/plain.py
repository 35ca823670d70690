"""The kernels in operators that every exporter and every runtime has, for any number of images: one multiply-add of the
shifted input for each tap, k * k in all, row by row.

In channels_last order, so that a shift moves rows of neighbours, and a compiler makes one loop of all taps.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from facerec.kernels.position_dependent_reference import shifts


def position_dependent(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """`facerec.kernels.position_dependent.position_dependent_conv`."""
    return multiply_add(x, stride, _side(weight.shape[0]), lambda tap: weight[tap])


def pixel_dependent(x: Tensor, weight: Tensor, stride: int, channel_weight: Tensor | None, combine: str) -> Tensor:
    """`facerec.kernels.pixel_dependent.pixel_dependent_conv`."""
    repeats = x.shape[1] // weight.shape[2]

    def of_tap(tap: int) -> Tensor:
        position = weight[:, tap].permute(0, 2, 3, 1).repeat_interleave(repeats, dim=3)
        if channel_weight is None:
            return position
        channel = channel_weight[:, None, None, :, tap]
        return position * channel if combine == "mul" else position + channel

    return multiply_add(x, stride, _side(weight.shape[1]), of_tap)


def depthwise_per_image(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """`facerec.kernels.per_image.depthwise_per_image`."""
    taps = weight.flatten(2)
    return multiply_add(x, stride, weight.shape[-1], lambda tap: taps[:, None, None, :, tap])


def pointwise_per_image(x: Tensor, weight: Tensor) -> Tensor:
    """`facerec.kernels.per_image.pointwise_per_image`."""
    return (weight.flatten(2) @ x.flatten(2)).unflatten(2, x.shape[2:])


def deformable(x: Tensor, offsets: Tensor, modulation: Tensor, weight: Tensor, stride: int) -> Tensor:
    """`facerec.kernels.deformable.deformable_conv`: each tap samples the map by itself."""
    side = weight.shape[-1]
    height, width = offsets.shape[2:]
    down = stride * torch.arange(height, dtype=x.dtype)[:, None] - side // 2
    right = stride * torch.arange(width, dtype=x.dtype) - side // 2
    total = torch.zeros_like(x[:, :, :1, :1])
    for tap in range(side * side):
        rows = offsets[:, 2 * tap] + down + tap // side
        columns = offsets[:, 2 * tap + 1] + right + tap % side
        # Where the corners' pixels have their middles at -1 + 1 / size and 1 - 1 / size.
        grid = torch.stack(((2 * columns + 1) / x.shape[3] - 1, (2 * rows + 1) / x.shape[2] - 1), dim=-1)
        found = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        total = total + found * modulation[:, tap, None] * weight[:, :, tap // side, tap % side, None]
    return total


def norm_activation(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    activation: str,
    slope: Tensor | None,
) -> Tensor:
    """`facerec.kernels.norm_activation.norm_activation` without a shortcut."""
    out = F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    if activation == "prelu":
        assert slope is not None
        return F.prelu(out, slope)
    return out if activation == "none" else getattr(F, activation)(out)


def multiply_add(x: Tensor, stride: int, kernel_size: int, weight: Callable[[int], Tensor]) -> Tensor:
    """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``; ``weight(tap)`` broadcasts to ``(B, H, W, C)``."""
    total = None
    for tap, shifted in enumerate(shifts(x, kernel_size, stride)):
        product = shifted * weight(tap)
        total = product if total is None else total + product
    assert total is not None
    return total.permute(0, 3, 1, 2)


def _side(taps: int) -> int:
    # A traced size is a tensor.
    return math.isqrt(int(taps))
