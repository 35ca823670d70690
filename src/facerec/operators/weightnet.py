"""WeightNet: depthwise filters generated per image by a small network.

Ma, Zhang, Huang, Sun, "WeightNet: Revisiting the Design Space of Weight Networks", ECCV 2020, arXiv 2007.11823,
section 3.3; the depthwise form is that of the published code.

    a = sigmoid(A @ (R @ mean over positions of x[b])), (C, M / G);
    out[b, c] = conv(x[b, c], sum over j of a[c, j] * templates[c, j])

There are M / G gates per channel, each for a template of that channel's filter. At M = G a filter is fixed up to a
scale per image and channel, which is squeeze-and-excitation on the output of a depthwise convolution.

Deviations from the paper: it replaces the depthwise convolution alone and reduces that convolution's own input, to
    max(16, C // 16) channels; in the paper all convolutions of a block share the reduction R of the block's input. M
    must be a multiple of G, where the published code rounds the quotient down. The templates are initialised like the
    depthwise filters of the backbones.
"""

import torch
from torch import Tensor, nn

from facerec.checks import check_counts
from facerec.kernels.per_image import depthwise_per_image, mix
from facerec.operators.base import SpatialOperator

_REDUCTION, _LEAST_REDUCED = 16, 16


class WeightNet(SpatialOperator):
    """A depthwise convolution with filters generated per image, for any map size.

    Args:
        multiplier: M of the paper, a multiple of G.
        groups: G of the paper; each channel has M / G templates.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        out_size: tuple[int, int] | None = None,
        *,
        kernel_size: int = 3,
        multiplier: int = 2,
        groups: int = 2,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, kernel_size=kernel_size, multiplier=multiplier, groups=groups)
        if multiplier % groups:
            raise ValueError(
                f"multiplier={multiplier} must be a multiple of groups={groups}: use {groups}, {2 * groups}, "
                f"{3 * groups} and so on"
            )
        self.stride, self.kernel_size = stride, kernel_size
        templates, reduced = multiplier // groups, max(_LEAST_REDUCED, channels // _REDUCTION)
        self.reduce = nn.Linear(channels, reduced)
        self.expand = nn.Linear(reduced, channels * templates)
        self.templates = nn.Parameter(torch.empty(channels, templates, kernel_size**2))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw gates around 1/2 as in the published code, and each template as a depthwise filter, Kaiming normal."""
        for linear in (self.reduce, self.expand):
            nn.init.normal_(linear.weight, std=1 / linear.in_features)
            nn.init.zeros_(linear.bias)
        for template in self.templates.unbind(1):
            nn.init.kaiming_normal_(self._as_filters(template), mode="fan_out", nonlinearity="relu")

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        """Set the last layer to 0, so that every gate is 1/2, and make random templates sum to 2 ``weight``.

        Equal templates would get equal gradients and stay equal.
        """
        self.reset_parameters()
        nn.init.zeros_(self.expand.weight)
        channels, count, taps = self.templates.shape
        self.templates += 2 / count * weight.reshape(channels, 1, taps) - self.templates.mean(dim=1, keepdim=True)
        return True

    def gates(self, x: Tensor) -> Tensor:
        """Return the gates, ``(B, C, M / G)``, between 0 and 1."""
        logits = self.expand(self.reduce(x.mean((2, 3)))).to(self.templates.dtype)
        return logits.sigmoid().unflatten(1, self.templates.shape[:2])

    def forward(self, x: Tensor) -> Tensor:
        return depthwise_per_image(x, self._as_filters(mix(self.gates(x), self.templates)), self.stride)

    def _as_filters(self, taps: Tensor) -> Tensor:
        """View ``(..., k * k)`` as ``(..., 1, k, k)``."""
        return taps.unflatten(-1, (1, self.kernel_size, self.kernel_size))

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Count the convolution, the two linear layers, and one per weight of the templates for mixing them."""
        linear = self.reduce.weight.numel() + self.expand.weight.numel()
        return self.kernel_size**2 * out.numel() + linear + self.templates.numel()
