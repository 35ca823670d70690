"""GhostFaceNet: GhostNet for small aligned faces.

Alansari, Hay, Javed, Shoufan, Zweiri, Werghi, "GhostFaceNets: Lightweight Face Recognition Model From Cheap
Operations", IEEE Access 2023, doi 10.1109/ACCESS.2023.3266068, version V1; its blocks are those of Han et al.,
"GhostNet", arXiv 1911.11907, table 7, as timm makes them.

Deviations: the embedding is the project's own; PReLU is not inside squeeze-and-excitation, where timm has ReLU.
"""

from collections.abc import Sequence

from timm.layers.helpers import make_divisible
from timm.models.ghostnet import GhostBottleneck
from torch import nn

from facerec.backbones.activations import Activation, activation_of
from facerec.backbones.convolutional import ConvolutionalBackbone
from facerec.backbones.parts import check_image_size, check_width
from facerec.checks import check_choice
from facerec.operators.base import Operator, halve
from facerec.operators.common.fused_sequence import FusedSequence, fuse_sequences
from facerec.surgery import Where, replace_depthwise

# One row per block: kernel size, expanded channels, channels, ratio of squeeze-and-excitation, stride.
_BLOCKS = (
    (3, 16, 16, 0, 1),
    (3, 48, 24, 0, 2),
    (3, 72, 24, 0, 1),
    (5, 72, 40, 0.25, 2),
    (5, 120, 40, 0.25, 1),
    (3, 240, 80, 0, 2),
    (3, 200, 80, 0, 1),
    (3, 184, 80, 0, 1),
    (3, 184, 80, 0, 1),
    (3, 480, 112, 0.25, 1),
    (3, 672, 112, 0.25, 1),
    (5, 672, 160, 0.25, 2),
    (5, 960, 160, 0, 1),
    (5, 960, 160, 0.25, 1),
    (5, 960, 160, 0, 1),
    (5, 512, 160, 0.25, 1),
)
_STEM_CHANNELS, _LAST_CHANNELS = 16, 512


class GhostFaceNet(ConvolutionalBackbone):
    """GhostFaceNetV1: float images ``(B, 3, H, W)`` to embeddings ``(B, embedding_dim)``.

    Args:
        width: multiplier of the channel counts, each rounded to a multiple of 4; the paper's are 1 and 1.3.
        operator: replaces the depthwise convolutions, those that make the ghosts too, as in
            `facerec.surgery.replace_depthwise`; None keeps them.
        image_size: (height, width) of the images.
        embedding_dim: elements of an embedding.
        stem_stride: 1, as in the paper's larger networks, with a total stride of 16, or 2.
        where: the convolutions to replace, as in `replace_depthwise`.
        keep_kernel_size: give an operator the kernel size of the convolution it replaces, if it has that option.
        align: "stn" puts a spatial transformer in front, for badly aligned faces.
        pooling: of the last map, as in `embedding_layers`.
        activation: after the convolutions, one of relu, relu6, prelu, hardswish, silu.

    Raises:
        ValueError: an argument outside the values above; what `replace_depthwise` refuses.
    """

    def __init__(
        self,
        width: float = 1.0,
        operator: Operator | None = None,
        image_size: Sequence[int] = (96, 96),
        embedding_dim: int = 512,
        stem_stride: int = 1,
        where: Where = "*",
        keep_kernel_size: bool = True,
        align: str | None = None,
        pooling: str = "gdconv",
        activation: str = "prelu",
    ) -> None:
        super().__init__()
        check_width(width)
        check_choice("stem_stride", stem_stride, (1, 2))
        act = activation_of(activation)
        self.image_size = check_image_size(image_size, 16 * stem_stride)
        features: nn.Module = FusedSequence(*_layers(width, stem_stride, act))
        size = halve(self.image_size, stem_stride)
        for *_, stride in _BLOCKS:
            size = halve(size, stride)
        if operator is not None:
            features = replace_depthwise(features, operator, self.image_size, where, keep_kernel_size)
        self.assemble(fuse_sequences(features), _channels(_LAST_CHANNELS, width), size, embedding_dim, align, pooling)


def _layers(width: float, stem_stride: int, act: Activation) -> list[nn.Module]:
    channels, last = _channels(_STEM_CHANNELS, width), _channels(_LAST_CHANNELS, width)
    stem = nn.Conv2d(3, channels, 3, stem_stride, padding=1, bias=False)
    layers: list[nn.Module] = [stem, nn.BatchNorm2d(channels), act(channels)]
    for kernel_size, expanded, base_channels, se_ratio, stride in _BLOCKS:
        out_channels = _channels(base_channels, width)
        block = GhostBottleneck(
            channels, _channels(expanded, width), out_channels, kernel_size, stride, se_ratio=se_ratio
        )
        layers.append(_with_activation(block, act))
        channels = out_channels
    return [*layers, nn.Conv2d(channels, last, 1, bias=False), nn.BatchNorm2d(last), act(last)]


def _channels(channels: int, width: float) -> int:
    return make_divisible(channels * width, 4)


def _with_activation(block: GhostBottleneck, act: Activation) -> GhostBottleneck:
    """Replace the activations of the first ghost module in place; the second has none."""
    for part in (block.ghost1.primary_conv, block.ghost1.cheap_operation):
        norm = part[1]
        assert isinstance(norm, nn.BatchNorm2d)
        part[2] = act(norm.num_features)
    return block
