"""Depthwise convolution: one k x k filter a channel, the same at every position.

Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", arXiv 1704.04861.

    out[b, c, p] = sum over taps d of weight[c, d] * x_padded[b, c, stride * p + d]
"""

import torch
from torch import Tensor, nn

from facerec.checks import check_counts
from facerec.operators.base import SpatialOperator


class Depthwise(SpatialOperator, nn.Conv2d):
    """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``; ``9 * C`` parameters and ``9 * C * H * W`` multiply-adds for the
    default kernel.

    Args:
        channels: C.
        stride: of the convolution.
        out_size: (H, W), accepted so that all operators are called alike; a convolution works at any size.
        kernel_size: k, odd; the zero padding is ``k // 2``.
        bias: learn an offset for each channel.
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
        """Kaiming normal over the outgoing connections, as in the TVConv paper's MobileNetV2: standard deviation sqrt(2
        / (k * k * C))."""
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        """Start as the depthwise convolution ``weight``, ``(C, 1, k, k)``, exactly."""
        self.weight.copy_(weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        return True
