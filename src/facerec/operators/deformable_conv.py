"""Deformable convolution, version 2: the image moves each tap of the kernel and weighs what is found there.

Zhu, Hu, Lin, Dai, "Deformable ConvNets v2: More Deformable, Better Results", CVPR 2019, arXiv 1811.11168. Here
depthwise:

    out[b, c, p] = sum over taps d of weight[c, d] * m[b, d, p] * x[b, c, stride * p + d + o[b, d, p]]   (equation 1)

x is read between pixels by bilinear interpolation and is 0 outside. Offsets o in pixels and modulation m = sigmoid(.)
come from x by a k x k convolution to 3 * k * k channels, shared by all C channels. That convolution starts from zeros,
so that the operator starts as a depthwise convolution with every tap halved. Where a tap lies on a pixel, as all do
then, the gradient of its offset is that of a move down or right.

Deviation from the paper: depthwise. That the convolution which predicts offsets and modulation learns at a tenth of the
    others' rate is written into the operator, as a factor of sqrt(1 / 10) on its result: from zeros the steps are the
    same, and no optimizer needs to know.
"""

import torch
from torch import Tensor, nn

from facerec.checks import check_counts
from facerec.kernels.deformable import deformable_conv
from facerec.operators.base import SpatialOperator

_TENTH_OF_THE_RATE = 0.1**0.5


class DeformableConv(SpatialOperator):
    """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``.

    For the default kernel ``252 * C + 27`` parameters, and ``297 * C`` multiply-adds a position: 243 predict offsets
    and modulation; each of the 9 taps takes 4 to interpolate, 1 to modulate and 1 for its weight. The 4 corner factors
    of a tap are shared by the channels and not counted. Slow: torchvision's kernel takes each channel and tap in turn,
    on a CPU some hundred times as long as a depthwise convolution.

    Args:
        channels: C.
        stride: of the output positions over the input.
        out_size: (H, W), accepted so that all operators are called alike.
        kernel_size: k, odd; the zero padding is ``k // 2``.

    Raises:
        ValueError: an argument outside the values above; the message names them.
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
        """Zero offsets and modulation 1/2; the weights as `Depthwise`."""
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
        """``(B, 2 * k * k, H, W)``, (down, right) in pixels for each tap, row by row, and ``(B, k * k, H, W)`` in
        (0, 1); float32 under autocast."""
        taps = self.weight[0].numel()
        predicted = self.predict(x)
        predicted = predicted.to(torch.promote_types(predicted.dtype, torch.float32)) * _TENTH_OF_THE_RATE
        # torchvision's kernel reads at an address that it makes of the offset: one that is no number ends the process.
        # The modulation keeps it for whoever looks for it.
        return predicted[:, : 2 * taps].nan_to_num(), torch.sigmoid(predicted[:, 2 * taps :])

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``."""
        offsets, modulation = self.offsets_and_modulation(x)
        kind = offsets.dtype
        out = deformable_conv(x.to(kind), offsets, modulation, self.weight.to(kind), self.stride)
        return out.to(x.dtype, memory_format=torch.channels_last)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Multiply-adds from ``x`` to ``out``: offsets and modulation, and six a tap and output."""
        taps, positions = self.weight[0].numel(), out[:, 0].numel()
        return positions * self.predict.weight.numel() + 6 * taps * out.numel()
