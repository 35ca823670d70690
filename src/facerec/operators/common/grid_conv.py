"""The inference form of a convolution whose weights are interpolated between the points of a grid."""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.operators.common.low_rank import smallest_bias
from facerec.operators.common.position_dependent_base import PositionDependentConv


class GridConv(PositionDependentConv):
    """A `PositionDependentConv` that knows the few filters between which its weights are interpolated.

    Computing reads the weights of all positions; ``points`` is for formats and runtimes that do with fewer.

    Args:
        points: ``(k * k, H_grid, W_grid, C)``, filters at the centres of equal parts of the map.
        bias: ``(H, W, C)`` or None.
        stride: distance between output positions, in input pixels.
        out_size: (H, W) of the output.
        interpolation: as in `between_points`.
    """

    def __init__(
        self, points: Tensor, bias: Tensor | None, stride: int, out_size: tuple[int, int], interpolation: str
    ) -> None:
        super().__init__(between_points(points, out_size, interpolation), bias, stride)
        self.interpolation = interpolation
        self.points = points  # no buffer: costs count those, and computing does not read it

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "GridConv":
        self.points = fn(self.points)
        return super()._apply(fn, recurse)

    def scaled(self, scale: Tensor, offset: Tensor) -> "GridConv":
        height, width = self.out_size
        bias = self._moved_bias(scale, offset)
        return GridConv(self.points * scale, bias, self.stride, (height, width), self.interpolation)

    def export_form(self, tolerance: float) -> nn.Module:
        """Return ordinary convolutions of parts of the map, which are exact, where no weight is between two points."""
        return PartsConv(self) if self.interpolation == "nearest" else super().export_form(tolerance)


class PartsConv(nn.Module):
    """A `GridConv` whose parts of the map have a filter each: an ordinary depthwise convolution of each part."""

    def __init__(self, conv: GridConv) -> None:
        super().__init__()
        taps, height, width, self.channels = conv.points.shape
        self.stride, self.kernel_size = conv.stride, round(taps**0.5)
        self.rows, self.columns = (
            _inputs_of_parts(*sides, self) for sides in zip(conv.out_size, (height, width), strict=True)
        )
        filters = conv.points.permute(1, 2, 3, 0).reshape(-1, self.channels, 1, self.kernel_size, self.kernel_size)
        self.filters = nn.ParameterList([nn.Parameter(part.clone(), requires_grad=False) for part in filters])
        self.bias = None if conv.bias is None else nn.Parameter(smallest_bias(conv.bias), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, [self.kernel_size // 2] * 4)
        out = torch.cat([self._band(x[:, :, begin:end], row) for row, (begin, end) in enumerate(self.rows)], 2)
        return out if self.bias is None else out + self.bias

    def _band(self, x: Tensor, row: int) -> Tensor:
        filters = self.filters[row * len(self.columns) : (row + 1) * len(self.columns)]
        parts = [
            F.conv2d(x[..., begin:end], part, stride=self.stride, groups=self.channels)
            for (begin, end), part in zip(self.columns, filters, strict=True)
        ]
        return torch.cat(parts, 3)


def _inputs_of_parts(positions: int, parts: int, conv: PartsConv) -> list[tuple[int, int]]:
    """Return from where to where each part's positions read the padded input."""
    begins = [-(-positions * part // parts) for part in range(parts + 1)]
    return [(begin * conv.stride, (end - 1) * conv.stride + conv.kernel_size) for begin, end in pairwise(begins)]


def between_points(points: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    """Interpolate ``(k * k, H_grid, W_grid, C)`` to ``(k * k, *size, C)``.

    Args:
        interpolation: "bilinear", constant beyond the outermost points; "nearest", constant in each point's part.
    """
    if interpolation == "nearest":
        for axis in (1, 2):
            parts = torch.arange(size[axis - 1], device=points.device) * points.shape[axis] // size[axis - 1]
            points = points.index_select(axis, parts)
        return points
    # In the order of channels_last, which the kernels want too, PyTorch is 10 to 25 times as fast.
    ordered = points.contiguous().permute(0, 3, 1, 2)
    return F.interpolate(ordered, size, mode=interpolation).permute(0, 2, 3, 1)
