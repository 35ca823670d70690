"""Convolutions with weights that change with the position or the image, in operators that every runtime has: one
multiply-add of the shifted input for each tap, k * k in all, row by row.

In channels_last order, so that a shift moves rows of neighbours, and a compiler makes one loop of all taps.
"""

from collections.abc import Callable, Iterator

import torch.nn.functional as F
from torch import Tensor, nn

from facerec.operators.common.position_dependent_base import PositionDependentConv


def shifts(x: Tensor, kernel_size: int, stride: int) -> Iterator[Tensor]:
    """The k * k views ``(B, H, W, C)`` of ``(B, C, H_in, W_in)`` that the taps multiply; zero padding ``k // 2``."""
    height, width = (-(-side // stride) for side in x.shape[2:])
    pad = kernel_size // 2
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, pad, pad, pad, pad))
    for row in range(kernel_size):
        rows = slice(row, row + stride * (height - 1) + 1, stride)
        for column in range(kernel_size):
            yield padded[:, rows, column : column + stride * (width - 1) + 1 : stride]


def multiply_add(x: Tensor, stride: int, kernel_size: int, weight: Callable[[int], Tensor]) -> Tensor:
    """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``; ``weight(tap)`` broadcasts to ``(B, H, W, C)``."""
    total = None
    for tap, shifted in enumerate(shifts(x, kernel_size, stride)):
        product = shifted * weight(tap)
        total = product if total is None else total + product
    assert total is not None
    return total.permute(0, 3, 1, 2)


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


def smallest_bias(bias: Tensor) -> Tensor:
    """``(H, W, C)`` as ``(C, H, W)``, or as ``(C, 1, 1)`` where all positions have the same."""
    bias = bias.permute(2, 0, 1)
    same = bias[:, :1, :1]
    return (same if (bias == same).all() else bias).clone()
