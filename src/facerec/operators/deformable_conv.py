"""Deformable convolution, version 2: the image moves and weighs each tap of the kernel.

Zhu, Hu, Lin, Dai, "Deformable ConvNets v2: More Deformable, Better Results", CVPR 2019, arXiv 1811.11168. Here
depthwise:

    out[b, c, p] = sum over taps d of weight[c, d] * m[b, d, p] * x[b, c, stride * p + d + o[b, d, p]]   (equation 1)

x is interpolated bilinearly between pixels and is 0 outside. Offsets o in pixels and modulation m = sigmoid(.) come
from x by a k x k convolution to 3 * k * k channels and are shared by all C channels. That convolution starts at 0, so
that the operator starts as a depthwise convolution with every tap halved. The gradient of an offset that is exactly at
a pixel, as all are then, is that of a move down or right.

Deviation from the paper: depthwise. The paper trains the convolution that predicts offsets and modulation at a tenth of
    the learning rate. Here its output has a factor of sqrt(1 / 10) instead: starting from 0, the steps are the same.
"""

import torch
from torch import Tensor, nn

from facerec.checks import check_counts
from facerec.kernels.deformable import deformable_conv
from facerec.operators.base import SpatialOperator

_TENTH_OF_THE_RATE = 0.1**0.5


class DeformableConv(SpatialOperator):
    """A depthwise convolution with deformable taps, for any map size.

    The default kernel has ``252 * C + 27`` parameters and takes ``297 * C`` multiply-adds per position: 243 predict
    offsets and modulation; each of the 9 taps takes 4 to interpolate, 1 to modulate and 1 for its weight. The 4 corner
    factors of a tap are shared by the channels and not counted. On a CPU torchvision's kernel takes some hundred times
    as long as a depthwise convolution.
    """

    def __init__(
        self, channels: int, stride: int = 1, out_size: tuple[int, int] | None = None, *, kernel_size: int = 3
    ) -> None:
        super().__init__()
        check_counts(channels=channels, kernel_size=kernel_size)
        self.stride, taps = stride, kernel_size**2
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel_size, kernel_size))
        self.predict = nn.Conv2d(channels, 3 * taps, kernel_size, stride, kernel_size // 2)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set offsets to 0 and modulation to 1/2, and draw the weights as `Depthwise` does."""
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self._still()

    def _still(self) -> None:
        for parameter in self.predict.parameters():
            nn.init.zeros_(parameter)

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        """Compute exactly the depthwise convolution with ``weight``, ``(C, 1, k, k)``: zero offsets, modulation 1/2."""
        self.weight.copy_(2 * weight.reshape(self.weight.shape))
        self._still()
        return True

    def offsets_and_modulation(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return offsets and modulation, float32 under autocast.

        The offsets are ``(B, 2 * k * k, H, W)``, (down, right) in pixels per tap, row by row; the modulation is
        ``(B, k * k, H, W)``, between 0 and 1.
        """
        taps = self.weight[0].numel()
        predicted = self.predict(x)
        predicted = predicted.to(torch.promote_types(predicted.dtype, torch.float32)) * _TENTH_OF_THE_RATE
        # torchvision's kernel computes addresses from the offsets, so a NaN crashes the process. The modulation keeps
        # the NaN, so that it is still found.
        return predicted[:, : 2 * taps].nan_to_num(), torch.sigmoid(predicted[:, 2 * taps :])

    def forward(self, x: Tensor) -> Tensor:
        offsets, modulation = self.offsets_and_modulation(x)
        kind = offsets.dtype
        out = deformable_conv(x.to(kind), offsets, modulation, self.weight.to(kind), self.stride)
        return out.to(x.dtype, memory_format=torch.channels_last)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Count offsets and modulation, and six per tap and output."""
        taps, positions = self.weight[0].numel(), out[:, 0].numel()
        return positions * self.predict.weight.numel() + 6 * taps * out.numel()
