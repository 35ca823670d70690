"""Partial convolution: an ordinary convolution over a fraction of the channels; the others pass unchanged.

Chen, Kao, He, Zhuo, Wen, Lee, Chan, "Run, Don't Walk: Chasing Higher FLOPS for Faster Neural Networks", CVPR 2023,
arXiv 2303.03667 (FasterNet; PConv in section 3.2).

    C_p = floor(C / n);  out[:, :C_p] = conv(x[:, :C_p]), dense and k x k;  out[:, C_p:] = x[:, C_p:]

It reads and writes less memory than a depthwise convolution, at more multiply-adds: ``(k * k * C_p) * C_p`` per
position.

Deviations from the paper: its PConv has stride 1; FasterNet halves the map by separate 2 x 2 convolutions between its
    stages. Here the convolution has the stride, and the other channels pass at the positions on which it is centred.
"""

import torch
from torch import Tensor, nn

from facerec.checks import check_counts
from facerec.operators.base import SpatialOperator


class PartialConv(SpatialOperator):
    """A partial convolution, for any map size.

    By default it has ``9 * (C // 4) ** 2`` parameters and takes as many multiply-adds per position.

    Args:
        share: n, at most C; the first ``C // n`` channels are convolved.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        out_size: tuple[int, int] | None = None,
        *,
        kernel_size: int = 3,
        share: int = 4,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, kernel_size=kernel_size, share=share)
        if share > channels:
            raise ValueError(f"share={share} leaves none of {channels} channels to convolve: use 1 to {channels}")
        self.stride, self.convolved = stride, channels // share
        self.conv = nn.Conv2d(self.convolved, self.convolved, kernel_size, stride, padding=kernel_size // 2, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw from Kaiming normal (fan out)."""
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        passing = x[:, self.convolved :, :: self.stride, :: self.stride]
        return torch.cat([self.conv(x[:, : self.convolved]), passing], dim=1)
