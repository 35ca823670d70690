"""The inference form of an operator whose weights depend on the position alone: the weights themselves, kept ready."""

from torch import Tensor, nn

from facerec.kernels.position_dependent import position_dependent_conv


class PositionDependentConv(nn.Module):
    """A fixed weight for each tap, position and channel; nothing is learned and nothing is generated.

    Args:
        weight: ``(k * k, H, W, C)``, kept as a buffer.
        bias: ``(H, W, C)`` or None, kept as a buffer.
        stride: of the output positions over the input.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None = None, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``."""
        out = position_dependent_conv(x, self.weight, self.stride)
        return out if self.bias is None else out + self.bias.permute(2, 0, 1).to(out.dtype)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Multiply-adds from ``x`` to ``out``: one a tap and output."""
        return self.weight.shape[0] * out.numel()
