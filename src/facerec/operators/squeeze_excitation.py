"""Squeeze-and-excitation after a depthwise convolution: each image rescales its channels.

Hu, Shen, Albanie, Sun, Wu, "Squeeze-and-Excitation Networks", CVPR 2018, arXiv 1709.01507.

    u = depthwise(x);  z[b, c] = mean over positions of u[b, c];  s = sigmoid(W_2 relu(W_1 z + b_1) + b_2)
    out[b, c, p] = s[b, c] * u[b, c, p]                               (section 3, equations 2 to 4)

Deviations from the paper: the factors rescale the output of the depthwise convolution, before its batch normalisation
    (paper: the output of the whole block); the reduction is 4 as in later mobile networks (paper: 16); W_1 and W_2 have
    biases, which the equations leave out.
"""

import torch
from torch import Tensor, nn

from facerec.checks import check_counts
from facerec.operators.base import SpatialOperator
from facerec.operators.depthwise import Depthwise


class SqueezeExcitation(SpatialOperator):
    """A depthwise convolution followed by squeeze-and-excitation, for any map size.

    Args:
        reduction: r; the excitation has ``max(1, C // r)`` hidden channels.
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

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        """Compute exactly the depthwise convolution with ``weight``, ``(C, 1, k, k)``.

        W_2 is 0, so that every factor is 1/2; in the first step, only W_2 gets a gradient in the excitation.
        """
        self.conv.weight.copy_(2 * weight.reshape(self.conv.weight.shape))
        nn.init.zeros_(self.excite.weight)
        nn.init.zeros_(self.excite.bias)
        return True

    def gate(self, convolved: Tensor) -> Tensor:
        """Return the factors ``(B, C)``, between 0 and 1, from the convolution's output; float32 under autocast."""
        mean = convolved.mean(dim=(2, 3))
        with torch.autocast(mean.device.type, enabled=False):
            hidden = torch.relu(self.squeeze(mean.to(self.squeeze.weight.dtype)))
            return torch.sigmoid(self.excite(hidden))

    def forward(self, x: Tensor) -> Tensor:
        convolved = self.conv(x)
        return convolved * self.gate(convolved)[:, :, None, None].to(convolved.dtype)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Count the convolution, the two linear layers and one per output."""
        excitation = self.squeeze.weight.numel() + self.excite.weight.numel()
        return self.conv.weight[0].numel() * out.numel() + len(out) * excitation + out.numel()
