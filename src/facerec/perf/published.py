"""The published algorithm of TVConv (arXiv 2203.10489, section 3), as a competitor: the input is unfolded into windows,
which are multiplied by the weights and summed, all in NCHW memory.

It is written from the paper's description. For inference the windows are read through a strided view of the padded
input; the strides are also correct at stride 2, unlike those of the published code.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.operators.base import SpatialOperator
from facerec.operators.common.weight_generator import reset_generator, weight_generator


class PublishedTVConv(SpatialOperator):
    """The published TVConv, ``(B, C, H_in, W_in)`` to ``(B, C, H, W)``.

    Parameters, their names and the meaning of the arguments are those of `facerec.operators.tvconv.TVConv`.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        out_size: tuple[int, int] = (96, 96),
        *,
        kernel_size: int = 3,
        affinity_channels: int = 4,
        generator_channels: int = 64,
        generator_layers: int = 3,
    ) -> None:
        super().__init__()
        self.channels, self.stride, self.kernel_size = channels, stride, kernel_size
        self.affinity_maps = nn.Parameter(torch.ones(1, affinity_channels, *out_size))
        self.weight_generator = weight_generator(
            affinity_channels,
            kernel_size**2 * channels,
            (out_size[0], out_size[1]),
            hidden_channels=generator_channels,
            hidden_layers=generator_layers,
            kernel_size=3,
            norm="layer",
            affine="full",
            padding="zeros",
        )
        reset_generator(self.weight_generator)

    def weight(self) -> Tensor:
        """Generate the weight ``(C, k * k, H, W)``, in the generator's layout."""
        generated = self.weight_generator(self.affinity_maps)
        return generated.view(self.channels, self.kernel_size**2, *generated.shape[2:])

    def forward(self, x: Tensor) -> Tensor:
        return unfold_multiply_sum(x, self.weight(), self.stride)

    @torch.no_grad()
    def inference_form(self) -> nn.Module:
        """Return the module for inference, with the generated weights cached."""
        return _PublishedInference(self.weight(), self.stride)


class _PublishedInference(nn.Module):
    weight: Tensor

    def __init__(self, weight: Tensor, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        return windows_einsum(x, self.weight, self.stride)


def unfold_multiply_sum(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve ``x``, ``(B, C, H_in, W_in)``, with ``weight``, ``(C, T, H, W)``, ``T = k * k``; returns
    ``(B, C, H, W)``."""
    channels, taps, height, width = weight.shape
    side = round(taps**0.5)
    windows = F.unfold(x, side, padding=side // 2, stride=stride).view(-1, channels, taps, height, width)
    return (windows * weight).sum(2)


def windows_einsum(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Compute the same as `unfold_multiply_sum`, copying only the padded input beforehand."""
    _, taps, height, width = weight.shape
    side = round(taps**0.5)
    padded = F.pad(x, (side // 2,) * 4).contiguous()
    batch, channel, row, column = padded.stride()
    windows = padded.as_strided(
        (*x.shape[:2], side, side, height, width), (batch, channel, row, column, stride * row, stride * column)
    )
    return torch.einsum("bcijhw,cijhw->bchw", windows, weight.unflatten(1, (side, side)))
