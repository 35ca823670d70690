"""MobileNetV2 for small aligned faces.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv 1801.04381, table 2, as used by the
TVConv paper (arXiv 2203.10489, section 4.1): the stem has stride 1, the last 1x1 convolution has 512 channels, and an
embedding replaces the classifier.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from facerec.backbones.activations import Activation, activation_of
from facerec.backbones.convolutional import ConvolutionalBackbone
from facerec.backbones.parts import check_image_size, check_width, operator_of_stage
from facerec.checks import check_counts
from facerec.operators.base import Operator, OperatorFactory, Size, halve
from facerec.operators.common.fused_sequence import FusedSequence, with_shortcut
from facerec.operators.depthwise import Depthwise

# One row per stage: expansion, channels at width 1, blocks, stride of the first block.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_STEM_CHANNELS, _LAST_CHANNELS = 32, 512


class MobileNetV2(ConvolutionalBackbone):
    """MobileNetV2: float images ``(B, 3, H, W)`` to embeddings ``(B, embedding_dim)``.

    Stages are numbered 1 to 7; the total stride is 16.

    Args:
        width: multiplier of the channel counts, each rounded to a multiple of ``channel_divisor``.
        operator: creates a block's spatial convolution, called ``operator(channels, stride=..., out_size=(H, W))``.
        image_size: (height, width) of the images, which determines all map sizes.
        embedding_dim: elements of an embedding.
        operator_stages: the stages that use ``operator``; the others use the depthwise convolution. None: the
            operator's default, mostly all.
        align: "stn" puts a spatial transformer in front, for badly aligned faces.
        pooling: of the last map, as in `embedding_layers`.
        activation: after the convolutions, one of relu6, prelu, hardswish, silu, relu.
        channel_divisor: 8, as published; a smaller one gives more widths, but kernels are faster with multiples of 8.

    Raises:
        ValueError: a width that is not positive, an image smaller than the total stride, a stage, pooling or activation
            that does not exist.
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
        activation: str = "relu6",
        channel_divisor: int = 8,
    ) -> None:
        super().__init__()
        check_width(width)
        check_counts(channel_divisor=channel_divisor)
        act = activation_of(activation)
        operators = operator_of_stage(operator, operator_stages, range(1, len(_STAGES) + 1), "MobileNetV2")
        size = self.image_size = check_image_size(image_size, 16)
        channels = round_channels(_STEM_CHANNELS * width, channel_divisor)
        last_channels = round_channels(_LAST_CHANNELS * max(1.0, width), channel_divisor)
        layers: list[nn.Module] = [dense_conv(3, channels, 3), nn.BatchNorm2d(channels), act(channels)]
        for stage, (expansion, base_channels, blocks, first_stride) in enumerate(_STAGES, start=1):
            out_channels = round_channels(base_channels * width, channel_divisor)
            for number in range(blocks):
                stride = first_stride if number == 0 else 1
                size = halve(size, stride)
                layers.append(InvertedResidual(channels, out_channels, expansion, stride, size, operators[stage], act))
                channels = out_channels
        layers += [dense_conv(channels, last_channels), nn.BatchNorm2d(last_channels), act(last_channels)]
        self.assemble(FusedSequence(*layers), last_channels, size, embedding_dim, align, pooling)
        for module in self.embed:
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)


class InvertedResidual(nn.Module):
    """The block of figure 3: expand by 1x1, apply the operator, project by 1x1; with a shortcut if the shapes allow it.

    Maps ``(B, C_in, H_in, W_in)`` to ``(B, C_out, *out_size)``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: int,
        stride: int,
        out_size: Size,
        operator: OperatorFactory,
        act: Activation,
    ) -> None:
        super().__init__()
        hidden, conv = in_channels * expansion, operator.pointwise(dense_conv)
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [conv(in_channels, hidden), nn.BatchNorm2d(hidden), act(hidden)]
        layers += [operator(hidden, stride=stride, out_size=out_size), nn.BatchNorm2d(hidden), act(hidden)]
        layers += [conv(hidden, out_channels), nn.BatchNorm2d(out_channels)]
        self.layers = operator.block(in_channels, layers)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return with_shortcut(self.layers, x, x) if self.has_shortcut else self.layers(x)


def dense_conv(in_channels: int, out_channels: int, kernel_size: int = 1, stride: int = 1) -> nn.Conv2d:
    """Return a convolution without a bias that starts Kaiming normal (fan out)."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def round_channels(channels: float, divisor: int) -> int:
    """Round to the nearest multiple of ``divisor``, at least one and at least nine tenths of ``channels``."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
