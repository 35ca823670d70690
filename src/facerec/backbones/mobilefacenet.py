"""MobileFaceNet: a network that is shaped for faces, with early down-sampling and little expansion.

Chen, Liu, Gao, Han, "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on Mobile Devices", arXiv
1804.07573, table 1.

Deviation: the embedding is the project's own (a linear layer with a bias and a normalisation), of any dimension; the
    paper's has 128.
"""

from collections.abc import Sequence

from torch import nn

from facerec.backbones.activations import activation_of
from facerec.backbones.convolutional import ConvolutionalBackbone
from facerec.backbones.mobilenet_v2 import InvertedResidual, dense_conv, round_channels
from facerec.backbones.parts import check_image_size, check_width, operator_of_stage
from facerec.checks import check_counts
from facerec.operators.base import Operator, halve
from facerec.operators.common.fused_sequence import FusedSequence
from facerec.operators.depthwise import Depthwise

# One row per stage from the second: expansion, channels at width 1, blocks, stride of the first block.
_STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
_STEM_CHANNELS, _LAST_CHANNELS = 64, 512


class MobileFaceNet(ConvolutionalBackbone):
    """MobileFaceNet: float images ``(B, 3, H, W)`` to embeddings ``(B, embedding_dim)``.

    Stages are numbered 1 (the depthwise convolution after the stem) to 6; the total stride is 16.

    Args:
        width: multiplier of the channel counts, each rounded to a multiple of ``channel_divisor``; the last convolution
            has 512 channels at least.
        pooling: "gdconv" here by default.
        activation: "prelu" here by default.

    The other arguments, and what is refused, are as in `MobileNetV2`.
    """

    def __init__(
        self,
        width: float = 1.0,
        operator: Operator = Depthwise,
        image_size: Sequence[int] = (96, 96),
        embedding_dim: int = 512,
        operator_stages: Sequence[int] | None = None,
        align: str | None = None,
        pooling: str = "gdconv",
        activation: str = "prelu",
        channel_divisor: int = 8,
    ) -> None:
        super().__init__()
        check_width(width)
        check_counts(channel_divisor=channel_divisor)
        act = activation_of(activation)
        operators = operator_of_stage(operator, operator_stages, range(1, len(_STAGES) + 2), "MobileFaceNet")
        self.image_size = check_image_size(image_size, 16)
        size, channels = halve(self.image_size, 2), round_channels(_STEM_CHANNELS * width, channel_divisor)
        layers: list[nn.Module] = [dense_conv(3, channels, 3, stride=2), nn.BatchNorm2d(channels), act(channels)]
        layers += [operators[1](channels, stride=1, out_size=size), nn.BatchNorm2d(channels), act(channels)]
        for stage, (expansion, base_channels, blocks, first_stride) in enumerate(_STAGES, start=2):
            out_channels = round_channels(base_channels * width, channel_divisor)
            for number in range(blocks):
                stride = first_stride if number == 0 else 1
                size = halve(size, stride)
                layers.append(InvertedResidual(channels, out_channels, expansion, stride, size, operators[stage], act))
                channels = out_channels
        last_channels = round_channels(_LAST_CHANNELS * max(1.0, width), channel_divisor)
        layers += [dense_conv(channels, last_channels), nn.BatchNorm2d(last_channels), act(last_channels)]
        self.assemble(FusedSequence(*layers), last_channels, size, embedding_dim, align, pooling)
