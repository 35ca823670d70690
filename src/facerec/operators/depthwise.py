"""Depthwise convolution: one k x k filter per channel, the same at every position.

Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", arXiv 1704.04861.

    out[b, c, p] = sum over taps d of weight[c, d] * x_padded[b, c, stride * p + d]
"""

import torch
from torch import Tensor, nn

from facerec.checks import check_counts
from facerec.operators.base import SpatialOperator


class Depthwise(SpatialOperator, nn.Conv2d):
    """A depthwise convolution, for any map size.

    The default kernel has ``9 * C`` parameters and takes ``9 * C * H * W`` multiply-adds.

    Args:
        bias: learn a bias per channel.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        out_size: tuple[int, int] | None = None,
        *,
        kernel_size: int = 3,
        bias: bool = False,
    ) -> None:
        check_counts(channels=channels, kernel_size=kernel_size)
        super().__init__(channels, channels, kernel_size, stride, padding=kernel_size // 2, groups=channels, bias=bias)

    def reset_parameters(self) -> None:
        """Draw from Kaiming normal (fan out), as the TVConv paper does: standard deviation sqrt(2 / (k * k * C))."""
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        self.weight.copy_(weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        return True
