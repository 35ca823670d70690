"""MLP-Mixer for small aligned faces, without convolutions, attention or a spatial operator.

Tolstikhin et al., "MLP-Mixer: An all-MLP Architecture for Vision", NeurIPS 2021, arXiv 2105.01601, section 2, equation
1 and table 1.

    x: (S, D), one token per patch;  x += MLP_S(norm(x)^T)^T;  x += MLP_D(norm(x));  MLP: Linear, GELU, Linear

Deviations from the paper and its published code: an embedding replaces the classifier. As in timm, the GELU is exact
    (published code: the tanh approximation), and linear layers start Xavier uniform with biases near 0 (published code:
    LeCun normal and 0). There is no stochastic depth and no dropout.
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from facerec.backbones.parts import check_image_size, check_images, check_width
from facerec.backbones.spatial_transformer import alignment
from facerec.checks import check_counts
from facerec.operators.base import Size
from facerec.operators.common.fused_sequence import FusedSequence

_TOKENS_RATIO, _CHANNELS_RATIO, _NORM_EPS = 0.5, 4, 1e-6


class MLPMixer(nn.Module):
    """MLP-Mixer: float images ``(B, 3, H, W)`` to embeddings ``(B, embedding_dim)``. The defaults are Mixer-S/16.

    Args:
        width: multiplier of the 512 channels of Mixer-S, rounded to the nearest multiple of 8 and at least 8.
        image_size: (height, width) of the images.
        embedding_dim: elements of an embedding.
        patch_size: side of the square patches in pixels; divides both sides of the image.
        blocks: number of blocks, each a token-mixing and a channel-mixing MLP.
        align: "stn" puts a spatial transformer in front, for badly aligned faces.

    Raises:
        ValueError: an argument outside the values above.
    """

    def __init__(
        self,
        width: float = 1.0,
        image_size: Sequence[int] = (96, 96),
        embedding_dim: int = 512,
        patch_size: int = 16,
        blocks: int = 8,
        align: str | None = None,
    ) -> None:
        super().__init__()
        check_width(width)
        check_counts(embedding_dim=embedding_dim, patch_size=patch_size, blocks=blocks)
        self.image_size, self.embedding_dim = check_image_size(image_size, patch_size), embedding_dim
        _check_patch_size(patch_size, self.image_size)
        channels = max(8, 8 * round(512 * width / 8))
        tokens = (self.image_size[0] // patch_size) * (self.image_size[1] // patch_size)
        self.align = alignment(align, self.image_size)
        self.patches = nn.Conv2d(3, channels, patch_size, stride=patch_size)
        self.blocks = FusedSequence(*(MixerBlock(tokens, channels) for _ in range(blocks)))
        self.norm = nn.LayerNorm(channels, eps=_NORM_EPS)
        self.embed = nn.Sequential(nn.Linear(channels, embedding_dim), nn.BatchNorm1d(embedding_dim))
        self._reset_dense()

    def _reset_dense(self) -> None:
        nn.init.kaiming_normal_(self.patches.weight, nonlinearity="linear")
        assert self.patches.bias is not None
        nn.init.zeros_(self.patches.bias)
        for part, bias_std in (self.blocks, 1e-6), (self.embed, 0):
            for module in part.modules():
                if isinstance(module, nn.Linear):
                    nn.init.xavier_uniform_(module.weight)
                    nn.init.normal_(module.bias, std=bias_std)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images to embeddings, which are not of unit length."""
        check_images(images, self.image_size)
        tokens = self.patches(self.align(images)).flatten(2).transpose(1, 2)
        return self.embed(self.norm(self.blocks(tokens)).mean(dim=1))


class MixerBlock(nn.Module):
    """Mixes the tokens of ``(B, S, D)`` in the same way for all channels, then the channels for all tokens."""

    def __init__(self, tokens: int, channels: int) -> None:
        super().__init__()
        self.token_norm = nn.LayerNorm(channels, eps=_NORM_EPS)
        self.token_mlp = _mlp(tokens, int(_TOKENS_RATIO * channels))
        self.channel_norm = nn.LayerNorm(channels, eps=_NORM_EPS)
        self.channel_mlp = _mlp(channels, _CHANNELS_RATIO * channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.token_mlp(self.token_norm(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channel_mlp(self.channel_norm(x))


def _mlp(features: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, features))


def _check_patch_size(patch_size: int, image_size: Size) -> None:
    common = math.gcd(*image_size)
    if common % patch_size:
        possible = ", ".join(str(size) for size in range(1, common + 1) if common % size == 0)
        raise ValueError(
            f"patch_size={patch_size} does not divide images of {image_size[0]}x{image_size[1]} pixels into equal "
            f"patches: use one of {possible}"
        )
