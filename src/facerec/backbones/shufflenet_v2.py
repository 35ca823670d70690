"""ShuffleNetV2 for small aligned faces.

Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", arXiv 1807.11164, table 5, as
used by the TVConv paper (arXiv 2203.10489): the stem has stride 1, and an embedding replaces the classifier.

Deviation: dense convolutions start from PyTorch's defaults as in the published code, but an operator initialises itself
    as in every backbone. The batch normalisation that follows removes the difference in scale.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from facerec.backbones.activations import Activation, activation_of
from facerec.backbones.convolutional import ConvolutionalBackbone
from facerec.backbones.parts import check_image_size, check_width, operator_of_stage
from facerec.operators.base import Operator, OperatorFactory, Size, halve
from facerec.operators.common.fused_sequence import FusedSequence
from facerec.operators.depthwise import Depthwise

_STEM_CHANNELS, _LAST_CHANNELS = 24, 1024
_UNITS = {2: 4, 3: 8, 4: 4}
# The first stage's channels at the paper's widths, which follow no formula; each later stage has twice as many.
_STAGE2_CHANNELS = {0.5: 48, 1.0: 116, 1.5: 176, 2.0: 244}


class ShuffleNetV2(ConvolutionalBackbone):
    """ShuffleNetV2: float images ``(B, 3, H, W)`` to embeddings ``(B, embedding_dim)``.

    Stages are numbered 2 to 4 as in the paper; the total stride is 16.

    Args:
        width: multiplier of the channel counts: the paper's at 0.5, 1, 1.5 and 2, otherwise 116 * width rounded to an
            even number.
        operator: creates the spatial convolutions, both of a unit with stride 2; otherwise as in `MobileNetV2`, as are
            the other arguments.
        activation: "relu" here by default.

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
        pooling: str = "average",
        activation: str = "relu",
    ) -> None:
        super().__init__()
        check_width(width)
        act = activation_of(activation)
        operators = operator_of_stage(operator, operator_stages, range(2, 5), "ShuffleNetV2")
        self.image_size = check_image_size(image_size, 16)
        size = halve(self.image_size, 2)
        layers: list[nn.Module] = [
            _conv(3, _STEM_CHANNELS, 3),
            *_bn_act(_STEM_CHANNELS, act),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
        channels, out_channels = _STEM_CHANNELS, _stage2_channels(width)
        for stage, units in _UNITS.items():
            size = halve(size, 2)
            layers.append(DownsamplingUnit(channels, out_channels, size, operators[stage], act))
            layers += [ShuffleUnit(out_channels, size, operators[stage], act) for _ in range(units - 1)]
            channels, out_channels = out_channels, 2 * out_channels
        layers += [_conv(channels, _LAST_CHANNELS), *_bn_act(_LAST_CHANNELS, act)]
        self.assemble(FusedSequence(*layers), _LAST_CHANNELS, size, embedding_dim, align, pooling)


class ShuffleUnit(nn.Module):
    """Transforms half of the channels and interleaves them with the other half (figure 3c); the shape is kept."""

    def __init__(self, channels: int, size: Size, operator: OperatorFactory, act: Activation) -> None:
        super().__init__()
        self.transform = _transform(operator, act, channels // 2, channels // 2, 1, size)

    def forward(self, x: Tensor) -> Tensor:
        kept, transformed = x.chunk(2, dim=1)
        return _shuffle(kept, self.transform(transformed))


class DownsamplingUnit(nn.Module):
    """Halves the map, ``(B, C_in, H_in, W_in)`` to ``(B, C_out, *out_size)``; both branches see all channels."""

    def __init__(
        self, in_channels: int, out_channels: int, out_size: Size, operator: OperatorFactory, act: Activation
    ) -> None:
        super().__init__()
        half = out_channels // 2
        shortcut = _spatial_then_pointwise(operator, act, in_channels, half, 2, out_size)
        self.shortcut = operator.block(in_channels, shortcut)
        self.transform = _transform(operator, act, in_channels, half, 2, out_size)

    def forward(self, x: Tensor) -> Tensor:
        return _shuffle(self.shortcut(x), self.transform(x))


def _transform(
    operator: OperatorFactory, act: Activation, in_channels: int, channels: int, stride: int, out_size: Size
) -> nn.Module:
    """Return the operator between two 1x1 convolutions."""
    layers = [operator.pointwise(_conv)(in_channels, channels), *_bn_act(channels, act)]
    layers += _spatial_then_pointwise(operator, act, channels, channels, stride, out_size)
    return operator.block(in_channels, layers)


def _spatial_then_pointwise(
    operator: OperatorFactory, act: Activation, channels: int, out_channels: int, stride: int, out_size: Size
) -> list[nn.Module]:
    spatial = operator(channels, stride=stride, out_size=out_size)
    conv = operator.pointwise(_conv)(channels, out_channels)
    return [spatial, nn.BatchNorm2d(channels), conv, *_bn_act(out_channels, act)]


def _shuffle(first: Tensor, second: Tensor) -> Tensor:
    """Interleave the channels of two maps ``(B, C, H, W)``, in channels_last memory."""
    pair = torch.stack((first.permute(0, 2, 3, 1), second.permute(0, 2, 3, 1)), dim=-1)
    return pair.flatten(3).permute(0, 3, 1, 2)


def _conv(in_channels: int, out_channels: int, kernel_size: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)


def _bn_act(channels: int, act: Activation) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), act(channels)]


def _stage2_channels(width: float) -> int:
    channels = _STAGE2_CHANNELS.get(width, 2 * round(58 * width))
    if channels < 2:
        raise ValueError(f"width must be at least 0.01 for ShuffleNetV2, got {width}")
    return channels
