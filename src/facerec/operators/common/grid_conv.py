"""The inference form of a convolution whose weights are interpolated between the points of a grid."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from facerec.operators.common.position_dependent_base import PositionDependentConv


class GridConv(PositionDependentConv):
    """A `PositionDependentConv` that knows the few filters between which its weights are interpolated.

    Computing reads the weights of all positions; ``points`` is for formats and runtimes that can interpolate.

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


def between_points(points: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    """Interpolate ``(k * k, H_grid, W_grid, C)`` to ``(k * k, *size, C)``.

    Args:
        interpolation: "bilinear", constant beyond the outermost points; "nearest", constant in each point's part.
    """
    # In the order of channels_last, which the kernels want too, PyTorch is 10 to 25 times as fast.
    ordered = points.contiguous().permute(0, 3, 1, 2)
    return F.interpolate(ordered, size, mode=interpolation).permute(0, 2, 3, 1)
