"""IResNet: the residual network of ArcFace, for teachers and upper limits. It has no depthwise convolutions.

Deng et al., "ArcFace", arXiv 1801.07698, section 3.1; its residual unit is that of Han, Kim, Kim, "Deep Pyramidal
Residual Networks", arXiv 1610.02915, figure 6d, with PReLU.

Deviation from the published code: the linear layer has no bias, which the normalisation after it takes out, and there
    is no dropout.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from facerec.backbones.activations import Activation, activation_of
from facerec.backbones.convolutional import ConvolutionalBackbone
from facerec.backbones.parts import check_image_size, check_width
from facerec.checks import check_choice
from facerec.operators.base import halve
from facerec.operators.common.fused_sequence import FusedSequence, with_shortcut

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}
_CHANNELS = (64, 128, 256, 512)


class IResNet(ConvolutionalBackbone):
    """IResNet: float images ``(B, 3, H, W)`` to embeddings ``(B, embedding_dim)``; the total stride is 16.

    Args:
        width: multiplier of the channel counts, each rounded to a multiple of 8.
        image_size: (height, width) of the images.
        embedding_dim: elements of an embedding.
        depth: 18, 34, 50 or 100.
        align: "stn" puts a spatial transformer in front, for badly aligned faces.
        pooling: of the last map, as in `embedding_layers`; "flatten" as published.
        activation: between convolutions, one of prelu, as published, relu, relu6, hardswish, silu.

    Raises:
        ValueError: an argument outside the values above.
    """

    def __init__(
        self,
        width: float = 1.0,
        image_size: Sequence[int] = (96, 96),
        embedding_dim: int = 512,
        depth: int = 50,
        align: str | None = None,
        pooling: str = "flatten",
        activation: str = "prelu",
    ) -> None:
        super().__init__()
        check_width(width)
        check_choice("depth", depth, tuple(_BLOCKS))
        act = activation_of(activation)
        size = self.image_size = check_image_size(image_size, 16)
        channels = _scaled(_CHANNELS[0], width)
        layers: list[nn.Module] = [_conv(3, channels, 3), nn.BatchNorm2d(channels), act(channels)]
        for base_channels, blocks in zip(_CHANNELS, _BLOCKS[depth], strict=True):
            out_channels, size = _scaled(base_channels, width), halve(size, 2)
            layers.append(ResidualUnit(channels, out_channels, 2, act))
            layers += [ResidualUnit(out_channels, out_channels, 1, act) for _ in range(blocks - 1)]
            channels = out_channels
        self.assemble(FusedSequence(*layers), channels, size, embedding_dim, align, pooling)


class ResidualUnit(nn.Module):
    """Normalisation, convolution, normalisation, activation, convolution, normalisation, and a shortcut.

    Maps ``(B, C_in, H, W)`` to ``(B, C_out, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, act: Activation) -> None:
        super().__init__()
        self.layers = FusedSequence(
            nn.BatchNorm2d(in_channels),
            _conv(in_channels, out_channels, 3),
            nn.BatchNorm2d(out_channels),
            act(out_channels),
            _conv(out_channels, out_channels, 3, stride),
            nn.BatchNorm2d(out_channels),
        )
        is_same = stride == 1 and in_channels == out_channels
        projection = FusedSequence(_conv(in_channels, out_channels, 1, stride), nn.BatchNorm2d(out_channels))
        self.shortcut = nn.Identity() if is_same else projection

    def forward(self, x: Tensor) -> Tensor:
        return with_shortcut(self.layers, x, self.shortcut(x))


def _conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    """Return a dense convolution that starts normal with a standard deviation of 0.1, as in the published code."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False)
    nn.init.normal_(conv.weight, 0, 0.1)
    return conv


def _scaled(channels: int, width: float) -> int:
    return max(8, 8 * round(channels * width / 8))
