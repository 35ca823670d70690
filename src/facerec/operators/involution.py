"""Involution: a kernel per position, generated from the pixel there and shared by groups of channels.

Li et al., "Involution: Inverting the Inherence of Convolution for Visual Recognition", CVPR 2021, arXiv 2103.06255.

    kernel[b, :, :, p] = span(ReLU(BN(reduce(pool(x)))))[b, :, p], (T, G);  out[b, c, p] = sum over taps d of
        kernel[b, d, g(c), p] * x_padded[b, c, stride * p + d]

with T = k * k taps, ``reduce`` and ``span`` 1x1 convolutions C -> C / r -> T * G, ``pool`` the average over stride x
stride positions (none at stride 1) and g(c) the group of channel c (section 3, algorithm 1).

Deviations from the paper: 8 channels per group and k = 3 instead of 16 and 7, since the networks of the TVConv paper
have
    8 channels in the first block and 3x3 convolutions to replace. From the published code: an odd map is halved
    rounding up, so that the last row and column average fewer pixels; the channels of ``span`` are ordered (tap,
    group), not (group, tap); the input is not unfolded.
"""

from torch import Tensor, nn

from facerec.checks import check_counts, check_divides
from facerec.kernels.pixel_dependent import pixel_dependent_conv
from facerec.operators.base import SpatialOperator
from facerec.operators.common.fused_sequence import FusedSequence


class Involution(SpatialOperator):
    """A convolution whose kernels each position generates from its own pixel, for any map size.

    Args:
        group_channels: C / G, neighbouring channels that share a kernel; it divides C.
        reduction: r, divisor of the channels between the two 1x1 convolutions, at most C.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        out_size: tuple[int, int] | None = None,
        *,
        kernel_size: int = 3,
        group_channels: int = 8,
        reduction: int = 4,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, kernel_size=kernel_size, group_channels=group_channels, reduction=reduction)
        check_divides("group_channels", group_channels, channels)
        if reduction > channels:
            raise ValueError(f"reduction={reduction} leaves none of {channels} channels: use at most {channels}")
        self.stride, self.kernel_size, self.groups = stride, kernel_size, channels // group_channels
        hidden = channels // reduction
        pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
        self.reduce = FusedSequence(
            pool, nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(inplace=True)
        )
        self.span = nn.Conv2d(hidden, kernel_size**2 * self.groups, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw from Kaiming normal (fan out) with biases of 0, as in the published code."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
        assert self.span.bias is not None
        nn.init.zeros_(self.span.bias)

    def kernel(self, x: Tensor) -> Tensor:
        """Return the weights ``(B, T, G, H, W)`` with which ``x`` is convolved."""
        return self.span(self.reduce(x)).unflatten(1, (self.kernel_size**2, self.groups))

    def forward(self, x: Tensor) -> Tensor:
        return pixel_dependent_conv(x, self.kernel(x), self.stride)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Count the two 1x1 convolutions and one per tap and output."""
        hidden, kernels = self.span.in_channels, self.span.out_channels
        positions = out[:, 0].numel()
        return positions * hidden * (x.shape[1] + kernels) + self.kernel_size**2 * out.numel()
