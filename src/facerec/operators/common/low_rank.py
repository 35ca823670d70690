"""Weights of low rank over the positions, as depthwise convolutions: for a runtime that has a fast one of those and
runs a chain of shifted multiply-adds operator by operator.

    weight[d, p, c] = sum over r of direction[r, d, c] * map[r, p, c];
    out = sum over r of depthwise(x, direction[r]) * map[r]

exact with as many directions as taps, and close with the few that hold most of a channel's k * k weights over the
positions: what a generator makes of a handful of smooth maps varies in few ways (docs/performance.md).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from facerec.operators.common.position_dependent_base import PositionDependentConv


class LowRankConv(nn.Module):
    """`PositionDependentConv` with the ``rank`` strongest directions of its weights."""

    def __init__(self, conv: "PositionDependentConv", rank: int) -> None:
        super().__init__()
        directions, maps, _ = _components(conv)
        side = round(len(conv.weight) ** 0.5)
        self.stride, self.padding, self.channels = conv.stride, side // 2, len(maps)
        self.directions = _fixed(directions[:, :, r].reshape(-1, 1, side, side) for r in range(rank))
        self.maps = _fixed(maps[:, r].unflatten(1, conv.out_size) for r in range(rank))
        self.bias = None if conv.bias is None else nn.Parameter(smallest_bias(conv.bias), requires_grad=False)
        self.to(conv.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``."""
        total = self.bias
        for direction, over_positions in zip(self.directions, self.maps, strict=True):
            convolved = F.conv2d(x, direction, None, self.stride, self.padding, groups=self.channels)
            product = convolved * over_positions
            total = product if total is None else product + total
        assert total is not None
        return total


def rank_for(conv: "PositionDependentConv", tolerance: float) -> int:
    """The fewest directions with which the weights are off by at most ``tolerance``, root mean square over that of the
    weights."""
    left = _components(conv)[2]
    return max(1, int((left > tolerance).sum()))


def _components(conv: "PositionDependentConv") -> tuple[Tensor, Tensor, Tensor]:
    """Directions ``(C, T, T)``, maps ``(C, T, H * W)``, strongest first, and ``(T + 1,)``: what is left of the weights'
    norm without 0, 1, 2, ... of them, as a share."""
    weight = conv.weight.permute(2, 0, 1).double()
    strengths, directions = torch.linalg.eigh(weight @ weight.mT)
    strengths, directions = strengths.flip(1).clamp(min=0).sum(0), directions.flip(2)
    left = torch.cat((strengths.flip(0).cumsum(0).flip(0), strengths.new_zeros(1)))
    return directions, directions.mT @ weight, (left / strengths.sum()).sqrt()


def smallest_bias(bias: Tensor) -> Tensor:
    """``(H, W, C)`` as ``(C, H, W)``, or as ``(C, 1, 1)`` where all positions have the same."""
    bias = bias.permute(2, 0, 1)
    same = bias[:, :1, :1]
    return (same if (bias == same).all() else bias).clone()


def _fixed(tensors: Iterable[Tensor]) -> nn.ParameterList:
    return nn.ParameterList([nn.Parameter(tensor.contiguous(), requires_grad=False) for tensor in tensors])
