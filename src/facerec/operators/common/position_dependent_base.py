"""The inference form of operators whose weights depend only on the position."""

import torch
from torch import Tensor, nn

from facerec.kernels.plain import multiply_add
from facerec.kernels.position_dependent import position_dependent_conv
from facerec.operators.base import SpatialOperator
from facerec.operators.common.low_rank import LowRankConv, rank_for, smallest_bias

# With six or more, ONNX Runtime is no faster than tap by tap (docs/performance.md).
_MOST_DIRECTIONS = 5


class PositionDependentConv(SpatialOperator):
    """A convolution with a fixed weight per tap, position and channel.

    The weights are stored as ``(k * k, H * W, C)``: ``network.to(memory_format=...)`` would reorder four dimensions.

    Args:
        weight: ``(k * k, H, W, C)``.
        bias: ``(H, W, C)`` or None.
        stride: distance between output positions, in input pixels.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None = None, stride: int = 1) -> None:
        super().__init__()
        self.out_size, self.stride = tuple(weight.shape[1:3]), stride
        self.register_buffer("weight", weight.flatten(1, 2))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        out = position_dependent_conv(x, self.weight.unflatten(1, self.out_size), self.stride)
        return out if self.bias is None else out + self.bias.permute(2, 0, 1).to(out.dtype)

    def position_share(self, border: float = 0.0) -> float:
        """Return the part of the weights' mean square that varies over the positions: 0 if all have the same weights.

        ``border`` is the part of height and width to leave out on each side, where padding alone makes a difference.
        """
        height, width = self.out_size
        top, left = round(border * height), round(border * width)
        weight = self.weight.unflatten(1, self.out_size)[:, top : height - top, left : width - left].double()
        variance = weight.var((1, 2), correction=0).mean()
        return float(variance / weight.square().mean().clamp_min(torch.finfo(variance.dtype).tiny))

    def scaled(self, scale: Tensor, offset: Tensor) -> "PositionDependentConv":
        """Return the convolution whose output is multiplied by ``scale`` and moved by ``offset``, each ``(C,)``."""
        weight = self.weight.unflatten(1, self.out_size) * scale
        return PositionDependentConv(weight, self._moved_bias(scale, offset), self.stride)

    def _moved_bias(self, scale: Tensor, offset: Tensor) -> Tensor:
        return (offset if self.bias is None else self.bias * scale + offset).expand(*self.out_size, -1)

    def export_form(self, tolerance: float) -> nn.Module:
        """Return a `LowRankConv` if few directions reach ``tolerance``, otherwise the exact `PositionTaps`."""
        weight = self.weight.unflatten(1, self.out_size)
        rank = rank_for(weight, tolerance) if tolerance > 0 else _MOST_DIRECTIONS + 1
        if rank > _MOST_DIRECTIONS:
            return PositionTaps(weight, self.bias, self.stride)
        return LowRankConv(weight, self.bias, self.stride, rank)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Count one per tap and output."""
        return self.weight.shape[0] * out.numel()


class PositionTaps(nn.Module):
    """A `PositionDependentConv` with one tensor per tap; for each view of one buffer, compilers would store it all."""

    def __init__(self, weight: Tensor, bias: Tensor | None, stride: int) -> None:
        super().__init__()
        self.stride, self.kernel_size = stride, round(len(weight) ** 0.5)
        self.taps = nn.ParameterList([nn.Parameter(tap.clone(), requires_grad=False) for tap in weight])
        self.bias = None if bias is None else nn.Parameter(smallest_bias(bias), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        out = multiply_add(x, self.stride, self.kernel_size, lambda tap: self.taps[tap])
        return out if self.bias is None else out + self.bias
