"""ShuffleNetV2 for small aligned faces.

Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", arXiv 1807.11164, table 5, as
the TVConv paper (arXiv 2203.10489) uses it: the stem has stride 1, and the classifier is an embedding.

Deviation: dense convolutions start from PyTorch's defaults as in the published code; an operator initialises itself, in
    every backbone alike. A batch
normalisation follows it and takes its scale out.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from facerec.backbones.parts import check_image_size, check_images, embedding_layers, operator_of_stage
from facerec.backbones.spatial_transformer import alignment
from facerec.operators.base import Operator, OperatorFactory, Size, halve
from facerec.operators.depthwise import Depthwise

_STEM_CHANNELS, _LAST_CHANNELS = 24, 1024
_UNITS = {2: 4, 3: 8, 4: 4}
# The first stage's channels at the paper's widths, which no formula gives; each later stage has twice as many.
_STAGE2_CHANNELS = {0.5: 48, 1.0: 116, 1.5: 176, 2.0: 244}


class ShuffleNetV2(nn.Module):
    """``(B, 3, H, W)`` float to ``(B, embedding_dim)``. Stages are numbered 2 to 4 as in the paper; the total stride is
    16.

    Args:
        width: multiplier of the channel counts. At 0.5, 1, 1.5 and 2 they are the paper's, elsewhere 116 * width
            rounded to an even number.
        operator: makes the spatial convolutions, both of a unit with stride 2, called ``operator(channels, stride=...,
            out_size=(H, W))``.
        image_size: (height, width) of the images, from which every map size follows.
        embedding_dim: of the result.
        operator_stages: the stages that use ``operator``; the others keep the depthwise convolution. None: all, or the
            last ones where the operator says so.
        align: "stn" puts a spatial transformer in front, for badly aligned faces.

    Raises:
        ValueError: a width too small for one channel, an image smaller than the total stride, a stage that does not
            exist.
    """

    def __init__(
        self,
        width: float = 1.0,
        operator: Operator = Depthwise,
        image_size: Sequence[int] = (96, 96),
        embedding_dim: int = 512,
        operator_stages: Sequence[int] | None = None,
        align: str | None = None,
    ) -> None:
        super().__init__()
        if not 0 < width < math.inf:
            raise ValueError(f"width must be positive, got {width}")
        operators = operator_of_stage(operator, operator_stages, range(2, 5), "ShuffleNetV2")
        self.image_size = check_image_size(image_size, 16)
        size = halve(self.image_size, 2)
        layers: list[nn.Module] = [
            _conv(3, _STEM_CHANNELS, 3),
            *_bn_relu(_STEM_CHANNELS),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
        channels, out_channels = _STEM_CHANNELS, _stage2_channels(width)
        for stage, units in _UNITS.items():
            size = halve(size, 2)
            layers.append(DownsamplingUnit(channels, out_channels, size, operators[stage]))
            layers += [ShuffleUnit(out_channels, size, operators[stage]) for _ in range(units - 1)]
            channels, out_channels = out_channels, 2 * out_channels
        self.align = alignment(align, self.image_size)
        self.features = nn.Sequential(*layers, _conv(channels, _LAST_CHANNELS), *_bn_relu(_LAST_CHANNELS))
        self.embed = embedding_layers(_LAST_CHANNELS, size, embedding_dim)
        self.embedding_dim = embedding_dim

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images to embeddings, not yet of unit length."""
        check_images(images, self.image_size)
        return self.embed(self.features(self.align(images)))


class ShuffleUnit(nn.Module):
    """Half of the channels pass, half are transformed, then both are interleaved (figure 3c). Shapes do not change."""

    def __init__(self, channels: int, size: Size, operator: OperatorFactory) -> None:
        super().__init__()
        self.transform = _transform(operator, channels // 2, channels // 2, 1, size)

    def forward(self, x: Tensor) -> Tensor:
        kept, transformed = x.chunk(2, dim=1)
        return _shuffle(kept, self.transform(transformed))


class DownsamplingUnit(nn.Module):
    """Both branches see all channels and halve the map (figure 3d): ``(B, C_in, H_in, W_in)`` to ``(B, C_out,
    *out_size)``."""

    def __init__(self, in_channels: int, out_channels: int, out_size: Size, operator: OperatorFactory) -> None:
        super().__init__()
        half = out_channels // 2
        self.shortcut = operator.block(in_channels, _spatial_then_pointwise(operator, in_channels, half, 2, out_size))
        self.transform = _transform(operator, in_channels, half, 2, out_size)

    def forward(self, x: Tensor) -> Tensor:
        return _shuffle(self.shortcut(x), self.transform(x))


def _transform(operator: OperatorFactory, in_channels: int, channels: int, stride: int, out_size: Size) -> nn.Module:
    """A 1x1 convolution before the operator and one after it."""
    layers = [operator.pointwise(_conv)(in_channels, channels), *_bn_relu(channels)]
    layers += _spatial_then_pointwise(operator, channels, channels, stride, out_size)
    return operator.block(in_channels, layers)


def _spatial_then_pointwise(
    operator: OperatorFactory, channels: int, out_channels: int, stride: int, out_size: Size
) -> list[nn.Module]:
    spatial = operator(channels, stride=stride, out_size=out_size)
    conv = operator.pointwise(_conv)(channels, out_channels)
    return [spatial, nn.BatchNorm2d(channels), conv, *_bn_relu(out_channels)]


def _shuffle(first: Tensor, second: Tensor) -> Tensor:
    """Two ``(B, C, H, W)`` to ``(B, 2 C, H, W)`` with their channels alternating, in channels_last memory."""
    pair = torch.stack((first.permute(0, 2, 3, 1), second.permute(0, 2, 3, 1)), dim=-1)
    return pair.flatten(3).permute(0, 3, 1, 2)


def _conv(in_channels: int, out_channels: int, kernel_size: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)


def _bn_relu(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


def _stage2_channels(width: float) -> int:
    channels = _STAGE2_CHANNELS.get(width, 2 * round(58 * width))
    if channels < 2:
        raise ValueError(f"width must be at least 0.01 for ShuffleNetV2, got {width}")
    return channels
