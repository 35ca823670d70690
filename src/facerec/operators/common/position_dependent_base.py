"""The inference form of an operator whose weights depend on the position alone: the weights themselves, kept ready."""

from torch import Tensor

from facerec.kernels.position_dependent import position_dependent_conv
from facerec.operators.base import SpatialOperator


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

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Multiply-adds from ``x`` to ``out``: one a tap and output."""
        return self.weight.shape[0] * out.numel()
