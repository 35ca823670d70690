"""WeightNet: depthwise filters generated for each image by a small network.

Ma, Zhang, Huang, Sun, "WeightNet: Revisiting the Design Space of Weight Networks", ECCV 2020, arXiv 2007.11823,
section 3.3; the depthwise form is that of the published code.

    a = sigmoid(A @ (R @ mean over positions of x[b])), (C, M / G);
    out[b, c] = conv(x[b, c], sum over j of a[c, j] * templates[c, j])

M / G gates a channel, each for a template of that channel's own filter. At M = G the filters are fixed up to a scale
for each image and channel, which is squeeze-and-excitation on the output of a depthwise convolution.

Deviations from the paper: it replaces the depthwise convolution alone and reduces that convolution's own input; in the
    paper all convolutions of a block share the reduction R of the block's input. The width of the reduction is max(16,
    C // 16) of that C. M has to be a multiple of G, where the published code rounds the quotient down. The templates
    start as depthwise filters do in the backbones.
"""

import torch
from torch import Tensor, nn

from facerec.checks import check_counts
from facerec.kernels.per_image import depthwise_per_image, mix
from facerec.operators.base import SpatialOperator

_REDUCTION, _LEAST_REDUCED = 16, 16


class WeightNet(SpatialOperator):
    """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``.

    Args:
        channels: C.
        stride: of the convolution.
        out_size: (H, W), accepted so that all operators are called alike; it works at any size.
        kernel_size: k, odd; the zero padding is ``k // 2``.
        multiplier: M of the paper, a multiple of G.
        groups: G of the paper; each channel has M / G templates.

    Raises:
        ValueError: an argument outside the values above; the message names them.
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
                f"multiplier={multiplier} gives no whole number of templates a channel with groups={groups}; possible "
                f"are {groups}, {2 * groups}, {3 * groups} and so on"
            )
        self.stride, self.kernel_size = stride, kernel_size
        templates, reduced = multiplier // groups, max(_LEAST_REDUCED, channels // _REDUCTION)
        self.reduce = nn.Linear(channels, reduced)
        self.expand = nn.Linear(reduced, channels * templates)
        self.templates = nn.Parameter(torch.empty(channels, templates, kernel_size**2))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Gates around 1/2: normal with standard deviation 1 / (incoming connections) as in the published code. Each
        template by itself Kaiming normal over the outgoing connections, as a depthwise convolution."""
        for linear in (self.reduce, self.expand):
            nn.init.normal_(linear.weight, std=1 / linear.in_features)
            nn.init.zeros_(linear.bias)
        for template in self.templates.unbind(1):
            nn.init.kaiming_normal_(self._as_filters(template), mode="fan_out", nonlinearity="relu")

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        """Start as the depthwise convolution with the filters ``weight``, ``(C, 1, k, k)``.

        The gates' last layer starts at zero, so that every gate is 1/2 for every image, unlike in a fresh module. The
        templates are fresh up to a shift that makes their sum twice the filters; were they equal, equal gradients
        would keep them so for ever.
        """
        self.reset_parameters()
        nn.init.zeros_(self.expand.weight)
        channels, count, taps = self.templates.shape
        self.templates += 2 / count * weight.reshape(channels, 1, taps) - self.templates.mean(dim=1, keepdim=True)
        return True

    def gates(self, x: Tensor) -> Tensor:
        """``(B, C, H_in, W_in)`` to the gates ``(B, C, M / G)``, each between 0 and 1."""
        logits = self.expand(self.reduce(x.mean((2, 3)))).to(self.templates.dtype)
        return logits.sigmoid().unflatten(1, self.templates.shape[:2])

    def forward(self, x: Tensor) -> Tensor:
        return depthwise_per_image(x, self._as_filters(mix(self.gates(x), self.templates)), self.stride)

    def _as_filters(self, taps: Tensor) -> Tensor:
        """``(..., k * k)`` as ``(..., 1, k, k)``."""
        return taps.unflatten(-1, (1, self.kernel_size, self.kernel_size))

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """The convolution, the two linear layers, and one a number of all templates for mixing them."""
        linear = self.reduce.weight.numel() + self.expand.weight.numel()
        return self.kernel_size**2 * out.numel() + linear + self.templates.numel()
