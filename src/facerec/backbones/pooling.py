"""The layers between a backbone's last map and its embedding.

An average over the map forgets where something was. A global depthwise convolution keeps it, at one multiply-add per
value: Chen, Liu, Gao, Han, "MobileFaceNets", arXiv 1804.07573, section 3.2.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from facerec.checks import check_choice
from facerec.operators.base import Size
from facerec.operators.common.fused_sequence import FusedSequence

POOLINGS = ("average", "gdconv", "flatten")


class WholeMapConv(nn.Conv2d):
    """A convolution with a kernel as large as the map ``(B, C, *map_size)``, to ``(B, C_out, 1, 1)``.

    Args:
        channels: C.
        out_channels: C_out; None: C, each from its own channel alone. Those start as the average.
    """

    def __init__(self, channels: int, map_size: Size, out_channels: int | None = None) -> None:
        groups = channels if out_channels is None else 1
        super().__init__(channels, out_channels or channels, map_size, groups=groups, bias=False)

    def reset_parameters(self) -> None:
        """Start as the average over the map, or, over all channels, normal with a standard deviation of 0.01."""
        if self.groups > 1:
            nn.init.constant_(self.weight, 1 / self.weight[0].numel())
        else:
            nn.init.normal_(self.weight, 0, 0.01)

    def forward(self, input: Tensor) -> Tensor:
        if self.groups > 1:
            return super().forward(input)
        # A matrix product, which is several times faster than PyTorch's convolution with so large a kernel.
        x, weight = (tensor.permute(0, 2, 3, 1).flatten(1) for tensor in (input, self.weight))
        return F.linear(x, weight, self.bias)[:, :, None, None]


def embedding_layers(channels: int, map_size: Size, embedding_dim: int, pooling: str = "average") -> nn.Sequential:
    """Return the layers from the last map, ``(B, channels, *map_size)``, to embeddings, ``(B, embedding_dim)``.

    Args:
        pooling: "average" over the map; "gdconv", a global depthwise convolution, with a weight per channel and
            position; "flatten", a linear layer over all channels and positions (arXiv 1801.07698, section 3.1).

    Raises:
        ValueError: another pooling, or embeddings without an element.
    """
    if embedding_dim < 1:
        raise ValueError(f"embedding_dim must be at least 1, got {embedding_dim}")
    check_choice("pooling", pooling, POOLINGS)
    if pooling == "flatten":
        whole = WholeMapConv(channels, map_size, embedding_dim)
        return FusedSequence(nn.BatchNorm2d(channels), whole, nn.BatchNorm2d(embedding_dim), nn.Flatten())
    average = [nn.BatchNorm2d(channels), nn.AvgPool2d(map_size)]
    pooled = average if pooling == "average" else [WholeMapConv(channels, map_size), nn.BatchNorm2d(channels)]
    return FusedSequence(*pooled, nn.Flatten(), nn.Linear(channels, embedding_dim), nn.BatchNorm1d(embedding_dim))
