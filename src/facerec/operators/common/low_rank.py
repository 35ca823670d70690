"""Position-dependent weights of low rank as depthwise convolutions, which some runtimes execute faster than shifts.

    weight[d, p, c] = sum over r of direction[r, d, c] * map[r, p, c];
    out = sum over r of depthwise(x, direction[r]) * map[r]

This is exact with as many directions as taps. Few directions are close, since weights generated from a few smooth maps
vary in few ways over the positions (docs/performance.md).
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LowRankConv(nn.Module):
    """A convolution with the ``rank`` strongest directions of the weights ``(k * k, H, W, C)``."""

    def __init__(self, weight: Tensor, bias: Tensor | None, stride: int, rank: int) -> None:
        super().__init__()
        directions, maps, _ = _components(weight)
        side = round(len(weight) ** 0.5)
        self.stride, self.padding, self.channels = stride, side // 2, len(maps)
        self.directions = _fixed(directions[:, :, r].reshape(-1, 1, side, side) for r in range(rank))
        self.maps = _fixed(maps[:, r].unflatten(1, weight.shape[1:3]) for r in range(rank))
        self.bias = None if bias is None else nn.Parameter(smallest_bias(bias), requires_grad=False)
        self.to(weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        total = self.bias
        for direction, over_positions in zip(self.directions, self.maps, strict=True):
            convolved = F.conv2d(x, direction, None, self.stride, self.padding, groups=self.channels)
            product = convolved * over_positions
            total = product if total is None else product + total
        assert total is not None
        return total


def rank_for(weight: Tensor, tolerance: float) -> int:
    """Return the smallest rank whose relative root mean square error of the weights is at most ``tolerance``."""
    errors = _components(weight)[2]
    return max(1, int((errors > tolerance).sum()))


def _components(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Decompose the weights into directions ``(C, T, T)`` and maps ``(C, T, H * W)``, strongest first.

    Also returns the relative errors ``(T + 1,)`` of the weights with ranks 0 to T.
    """
    weight = weight.flatten(1, 2).permute(2, 0, 1).double()
    strengths, directions = torch.linalg.eigh(weight @ weight.mT)
    strengths, directions = strengths.flip(1).clamp(min=0).sum(0), directions.flip(2)
    errors = torch.cat((strengths.flip(0).cumsum(0).flip(0), strengths.new_zeros(1)))
    return directions, directions.mT @ weight, (errors / strengths.sum()).sqrt()


def smallest_bias(bias: Tensor) -> Tensor:
    """Return ``(H, W, C)`` as ``(C, H, W)``, or as ``(C, 1, 1)`` if all positions are equal."""
    bias = bias.permute(2, 0, 1)
    same = bias[:, :1, :1]
    return (same if (bias == same).all() else bias).clone()


def _fixed(tensors: Iterable[Tensor]) -> nn.ParameterList:
    return nn.ParameterList([nn.Parameter(tensor.contiguous(), requires_grad=False) for tensor in tensors])
