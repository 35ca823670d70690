"""Decoupled dynamic filters: a filter per position times (or plus) a filter per channel, both from the image.

Zhou et al., "Decoupled Dynamic Filter Networks", CVPR 2021, arXiv 2104.14107.

    spatial[b, :, p] = g * norm(W_s x[b, :, stride * p] + b_s)
    channel[b, c, :] = gain[c, :] * norm((W_2 ReLU(W_1 mean_p x[b, :, p] + b_1) + b_2)[c, :])
    out[b, c, p] = sum over taps d of (spatial[b, d, p] * channel[b, c, d]) * x_padded[b, c, stride * p + d]

with T = k * k taps; ``combine="add"`` adds the two in brackets instead. ``norm`` brings the taps to mean 0 and standard
deviation 1; g = sqrt(2) / k is fixed, gain is learned (section 3).

Deviations from the paper and its published code: ``norm`` divides by sqrt(variance + 1e-5) and not by the standard
    deviation + 1e-10, whose gradient where all taps are equal, as at a dead pixel without biases, is 1e10; it runs in
    at least float32. For the same reason the biases b_s and b_2 start as in PyTorch's convolution, not at 0. b_1 starts
    at 1, since many layers with one or two hidden units would start dead otherwise. There is at least one hidden unit.
    All channels share one spatial filter (one head). The stride need not divide the map.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.checks import check_choice, check_counts
from facerec.kernels.pixel_dependent import pixel_dependent_conv
from facerec.operators.base import SpatialOperator


class DDF(SpatialOperator):
    """A depthwise convolution by decoupled dynamic filters, for any map size.

    Args:
        kernel_size: k, at least 3.
        combine: "mul", the published default, or "add".
        squeeze_ratio: hidden units of the channel branch per channel, above 0 and at most 1, rounded down to at least 1
            unit.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        out_size: tuple[int, int] | None = None,
        *,
        kernel_size: int = 3,
        combine: str = "mul",
        squeeze_ratio: float = 0.2,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, kernel_size=kernel_size)
        check_choice("combine", combine, ("mul", "add"))
        if kernel_size < 3:
            raise ValueError("kernel_size must be at least 3, got 1: a single tap minus the mean over the taps is 0")
        if not 0 < squeeze_ratio <= 1:
            raise ValueError(f"squeeze_ratio must be above 0 and at most 1, got {squeeze_ratio}")
        self.stride, self.kernel_size, self.combine = stride, kernel_size, combine
        self.spatial_gain = math.sqrt(2) / kernel_size
        taps, hidden = kernel_size**2, max(1, int(squeeze_ratio * channels))
        self.spatial = nn.Conv2d(channels, taps, 1, stride)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels * taps)
        self.gain = nn.Parameter(torch.empty(channels, taps))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Use PyTorch's defaults for the branches, ones for the squeeze's biases, and draw the gain with standard
        deviation g."""
        for layer in (self.spatial, self.squeeze, self.excite):
            layer.reset_parameters()
        nn.init.ones_(self.squeeze.bias)
        nn.init.normal_(self.gain, std=self.spatial_gain)

    def spatial_filter(self, x: Tensor) -> Tensor:
        """Return the filter per position, ``(B, T, H, W)``."""
        return self.spatial_gain * _normalise(self.spatial(x), dim=1)

    def channel_filter(self, x: Tensor) -> Tensor:
        """Return the filter per channel, ``(B, C, T)``."""
        filters = self.excite(F.relu(self.squeeze(_mean(x))))
        return self.gain * _normalise(filters.unflatten(1, self.gain.shape), dim=2)

    def forward(self, x: Tensor) -> Tensor:
        spatial = self.spatial_filter(x).unsqueeze(2)
        return pixel_dependent_conv(x, spatial, self.stride, self.channel_filter(x), self.combine)

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        """Compute exactly the depthwise convolution with ``weight``, ``(C, 1, k, k)``.

        Both branches start from biases alone. They alternate in sign from tap to tap, so that no normalised bias is 0
        and the gain can turn them into ``weight``.
        """
        taps = self.gain.shape[1]
        biases = 1.0 - 2.0 * (torch.arange(taps, device=self.gain.device) % 2)
        nn.init.zeros_(self.spatial.weight)
        nn.init.zeros_(self.excite.weight)
        assert self.spatial.bias is not None
        self.spatial.bias.copy_(biases)
        self.excite.bias.copy_(biases.repeat(len(self.gain)))
        channel = _normalise(biases.to(self.gain.dtype), dim=0)
        spatial, weight = self.spatial_gain * channel, weight.flatten(1).to(self.gain)
        self.gain.copy_((weight / spatial if self.combine == "mul" else weight - spatial) / channel)
        return True

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Count three per tap and output, for the filters per position, combining and applying them, and the two layers
        of the channel branch."""
        taps = self.kernel_size**2
        layers = self.squeeze.weight.numel() + self.excite.weight.numel()
        return 3 * taps * out.numel() + layers


def _mean(x: Tensor) -> Tensor:
    """Return the mean over the positions, ``(B, C)``."""
    # The gradient of mean() is written out as a full map, that of sum() is a view. A sum may overflow float16.
    total = x.sum((2, 3), dtype=_at_least_float32(x))
    return (total / x.shape[2:].numel()).to(x.dtype)


def _normalise(filters: Tensor, dim: int) -> Tensor:
    """Bring to mean 0 and standard deviation 1 along ``dim``, in at least float32; 1e-5 bounds the gradient."""
    filters = filters.to(_at_least_float32(filters))
    centred = filters - filters.mean(dim, keepdim=True)
    variance = centred.square().sum(dim, keepdim=True) / (filters.shape[dim] - 1)
    return centred * (variance + 1e-5).rsqrt()


def _at_least_float32(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
