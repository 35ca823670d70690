"""Squeeze-and-excitation after a depthwise convolution: each image rescales its channels.

Hu, Shen, Albanie, Sun, Wu, "Squeeze-and-Excitation Networks", CVPR 2018, arXiv 1709.01507.

    u = depthwise(x);  z[b, c] = mean over positions of u[b, c];  s = sigmoid(W_2 relu(W_1 z + b_1) + b_2)
    out[b, c, p] = s[b, c] * u[b, c, p]                               (section 3, equations 2 to 4)

Deviations from the paper: it rescales what a whole block adds to its shortcut, here the result of the depthwise
    convolution, before its batch normalisation; the reduction is 4 as in later mobile networks, the paper's is 16; W_1
    and W_2 have biases, which its equations leave out.
"""

import torch
from torch import Tensor, nn

from facerec.checks import check_counts
from facerec.operators.base import SpatialOperator
from facerec.operators.depthwise import Depthwise


class SqueezeExcitation(SpatialOperator):
    """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``.

    Args:
        channels: C.
        stride: of the depthwise convolution.
        out_size: (H, W), accepted so that all operators are called alike.
        kernel_size: k of the depthwise convolution, odd.
        reduction: r; the excitation has ``max(1, C // r)`` hidden channels.

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
        reduction: int = 4,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, kernel_size=kernel_size, reduction=reduction)
        hidden_channels = max(1, channels // reduction)
        self.conv = Depthwise(channels, stride, out_size, kernel_size=kernel_size)
        self.squeeze = nn.Linear(channels, hidden_channels)
        self.excite = nn.Linear(hidden_channels, channels)

    def reset_parameters(self) -> None:
        """The depthwise convolution as `Depthwise`; uniform over the incoming connections for the excitation."""
        for module in (self.conv, self.squeeze, self.excite):
            module.reset_parameters()

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        """Compute exactly the depthwise convolution with ``weight``, ``(C, 1, k, k)``.

        The excitation gives 1/2 to every image, by zeros in W_2, which alone gets a gradient in the first step.
        """
        self.conv.weight.copy_(2 * weight.reshape(self.conv.weight.shape))
        nn.init.zeros_(self.excite.weight)
        nn.init.zeros_(self.excite.bias)
        return True

    def gate(self, convolved: Tensor) -> Tensor:
        """The factors s, ``(B, C)`` in (0, 1), from the result of the convolution; float32 under autocast."""
        mean = convolved.mean(dim=(2, 3))
        with torch.autocast(mean.device.type, enabled=False):
            hidden = torch.relu(self.squeeze(mean.to(self.squeeze.weight.dtype)))
            return torch.sigmoid(self.excite(hidden))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``."""
        convolved = self.conv(x)
        return convolved * self.gate(convolved)[:, :, None, None].to(convolved.dtype)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Multiply-adds from ``x`` to ``out``: the convolution, the two linear layers and one factor an output."""
        excitation = self.squeeze.weight.numel() + self.excite.weight.numel()
        return self.conv.weight[0].numel() * out.numel() + len(out) * excitation + out.numel()
