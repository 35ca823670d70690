"""The inference form of an operator whose weights depend on the position alone: the weights themselves, kept ready."""

from torch import Tensor, nn

from facerec.kernels.plain import multiply_add
from facerec.kernels.position_dependent import position_dependent_conv
from facerec.operators.base import SpatialOperator
from facerec.operators.common.low_rank import LowRankConv, rank_for, smallest_bias

# From six on, ONNX Runtime is no faster with them than tap by tap (docs/performance.md).
_MOST_DIRECTIONS = 5


class PositionDependentConv(SpatialOperator):
    """A fixed weight for each tap, position and channel; nothing is learned and nothing is generated.

    The weights are kept as a buffer ``(k * k, H * W, C)``: of four dimensions, ``network.to(memory_format=...)`` would
    bring them into another order in memory.

    Args:
        weight: ``(k * k, H, W, C)``.
        bias: ``(H, W, C)`` or None.
        stride: of the output positions over the input.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None = None, stride: int = 1) -> None:
        super().__init__()
        self.out_size, self.stride = tuple(weight.shape[1:3]), stride
        self.register_buffer("weight", weight.flatten(1, 2))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``."""
        out = position_dependent_conv(x, self.weight.unflatten(1, self.out_size), self.stride)
        return out if self.bias is None else out + self.bias.permute(2, 0, 1).to(out.dtype)

    def export_form(self, tolerance: float) -> nn.Module:
        """A `LowRankConv` where a few directions come within ``tolerance``; else, and at 0, `PositionTaps`, which is
        exact and which a compiler makes one loop of."""
        rank = rank_for(self, tolerance) if tolerance > 0 else _MOST_DIRECTIONS + 1
        return PositionTaps(self) if rank > _MOST_DIRECTIONS else LowRankConv(self, rank)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Multiply-adds from ``x`` to ``out``: one a tap and output."""
        return self.weight.shape[0] * out.numel()


class PositionTaps(nn.Module):
    """`PositionDependentConv` with a buffer ``(H, W, C)`` a tap: of a part of one buffer, a compiler would keep all."""

    def __init__(self, conv: PositionDependentConv) -> None:
        super().__init__()
        weights = conv.weight.unflatten(1, conv.out_size)
        self.stride, self.kernel_size = conv.stride, round(len(weights) ** 0.5)
        self.taps = nn.ParameterList([nn.Parameter(tap.clone(), requires_grad=False) for tap in weights])
        self.bias = None if conv.bias is None else nn.Parameter(smallest_bias(conv.bias), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``."""
        out = multiply_add(x, self.stride, self.kernel_size, lambda tap: self.taps[tap])
        return out if self.bias is None else out + self.bias
