"""Axial attention: attention along the columns of the map, then along its rows, aware of relative positions.

Wang, Zhu, Green, Adam, Yuille, Chen, "Axial-DeepLab: Stand-Alone Axial-Attention for Panoptic Segmentation", ECCV 2020,
arXiv 2003.07853.

    q, k, v = BN(1x1 convolution of x), of C / 2, C / 2 and C channels;  for positions i, j of a line and each head
    A_ij = softmax_j(BN(q_i . k_j) + BN(q_i . rq_(i - j)) + BN(k_j . rk_(j - i)))
    y_i = BN(sum over j of A_ij v_j) + BN(sum over j of A_ij rv_(i - j))

(section 3.2, equation 4, position-sensitive attention, with the batch normalisations and 8 heads of the published
model). The span is the whole axis, so the embeddings rq, rk and rv are bound to the image size; the heads share them.
Stride 2 is average pooling after both axes.

Deviations from the published code: the normalisation of the three logits starts with scales of 0.1 instead of 1, with
    which the gradient grows fivefold from layer to layer, and a MobileNetV2 with seven of them stayed at chance at this
    project's rates (``logit_gain=1`` is the published start). It has no shift, which the softmax takes out again
    (3 * heads parameters an axis whose gradient is 0). The average pooling rounds up, so that odd sizes work.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.checks import check_counts, check_divides
from facerec.operators.base import SpatialOperator


class AxialAttention(SpatialOperator):
    """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``.

    With S the side of the relative positions, an axis has ``2 * C * C + 8 * C + 3 * heads + 2 * (C / heads) *
    (2 * S - 1)`` parameters and, a position of the input, ``2 * C * C + 3.5 * C * S_in`` multiply-adds.

    Args:
        channels: C.
        stride: of the average pooling after the attention.
        out_size: (H, W) of the output; inputs of up to ``stride * out_size`` can be attended over.
        heads: each attends with C / heads channels, an even number.
        logit_gain: the first value of the scales of the logits' normalisation.

    Raises:
        ValueError: a gain that is not positive; heads that do not share the channels evenly; at the call, an input
            larger than the relative positions.
    """

    default_last_stages = 3

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        out_size: tuple[int, int] = (96, 96),
        *,
        heads: int = 8,
        logit_gain: float = 0.1,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, heads=heads)
        if not 0 < logit_gain < math.inf:
            raise ValueError(f"logit_gain must be positive, got {logit_gain!r}")
        check_divides("heads", heads, channels, even_share=True)
        self.stride = stride
        self.largest = (stride * out_size[0], stride * out_size[1])
        self.along_height, self.along_width = (
            _LineAttention(channels, heads, side, axis, logit_gain) for axis, side in enumerate(self.largest, start=2)
        )

    def reset_parameters(self) -> None:
        """Both axes anew."""
        for axis in (self.along_height, self.along_width):
            axis.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``."""
        height, width = x.shape[2:]
        if height > self.largest[0] or width > self.largest[1]:
            raise ValueError(
                f"an input of {height}x{width} is larger than the {self.largest[0]}x{self.largest[1]} that have "
                "relative positions: build the network for this image size"
            )
        out = self.along_width(self.along_height(x))
        if self.stride == 1:
            return out
        return F.avg_pool2d(out, self.stride, ceil_mode=True, count_include_pad=False)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Multiply-adds of one image: the projections, three logits and two weighted sums of both axes."""
        _, channels, height, width = x.shape
        return height * width * (4 * channels**2 + 7 * channels * (height + width) // 2)


class _LineAttention(nn.Module):
    """Attention along ``axis``, 2 or 3, of ``(B, C, H, W)`` to the same shape, for up to ``side`` positions. A line has
    S of them, and L lines lie side by side."""

    def __init__(self, channels: int, heads: int, side: int, axis: int, logit_gain: float) -> None:
        super().__init__()
        self.axis, self.logit_gain = axis, logit_gain
        share = channels // heads
        self.heads, self.parts = heads, (share // 2, share // 2, share)
        # Output channels are ordered (head, q k v, channel).
        self.qkv = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.qkv_norm = nn.BatchNorm2d(2 * channels)
        self.relative = nn.Parameter(torch.empty(2 * share, 2 * side - 1))
        self.logit_norm = nn.BatchNorm2d(3 * heads)
        # A shift common to all keys of a query: without effect.
        self.logit_norm.register_parameter("bias", None)
        self.out_norm = nn.BatchNorm2d(2 * channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal projections that keep the variance, embeddings of about unit length, and the usual normalisations."""
        nn.init.normal_(self.qkv.weight, std=self.qkv.in_channels**-0.5)
        nn.init.normal_(self.relative, std=self.parts[2] ** -0.5)
        for norm in (self.qkv_norm, self.logit_norm, self.out_norm):
            norm.reset_running_stats()
            nn.init.ones_(norm.weight)
            if norm.bias is not None:
                nn.init.zeros_(norm.bias)
        nn.init.constant_(self.logit_norm.weight, self.logit_gain)

    def forward(self, x: Tensor) -> Tensor:
        # (B, heads, 2 * share, H, W) to (B, L, heads, S, 2 * share)
        lines_first = (0, 4, 1, 3, 2) if self.axis == 2 else (0, 3, 1, 4, 2)
        projected = self.qkv_norm(self.qkv(x)).unflatten(1, (self.heads, -1)).permute(lines_first)
        query, key, value = projected.split(self.parts, dim=-1)
        query_relative, key_relative, value_relative = self._embeddings(x.shape[self.axis], value.dtype)
        attention = self._attention(query, key, query_relative, key_relative).to(value.dtype)
        from_relative = torch.einsum("bngij,cij->bngic", attention, value_relative)
        # (B, L, 2, heads, S, share) to (B, 2, heads, share, H, W)
        channels_first = (0, 2, 3, 5, 4, 1) if self.axis == 2 else (0, 2, 3, 5, 1, 4)
        both = torch.stack([attention @ value, from_relative], dim=2).permute(channels_first).flatten(1, 3)
        one, other = self.out_norm(both.contiguous(memory_format=torch.channels_last)).chunk(2, dim=1)
        return one + other

    def _embeddings(self, side: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """The embeddings for query i, key j as ``(channels, i, j)``, from the middle of the table: of i - j for query
        and value, of j - i for the key."""
        places = torch.arange(side, device=self.relative.device)
        offsets = places[:, None] - places
        middle = self.relative.shape[1] // 2
        query, key, value = self.relative.to(dtype).split(self.parts)
        return query[:, middle + offsets], key[:, middle - offsets], value[:, middle + offsets]

    def _attention(self, query: Tensor, key: Tensor, query_relative: Tensor, key_relative: Tensor) -> Tensor:
        """``(B, L, heads, S, S)``, of the type of the parameters: float32 under autocast."""
        logits = torch.stack(
            [
                query @ key.transpose(-1, -2),
                torch.einsum("bngic,cij->bngij", query, query_relative),
                torch.einsum("bngjc,cij->bngij", key, key_relative),
            ],
            dim=2,
        )
        precise = logits.to(self.relative.dtype)
        normal = self.logit_norm(precise.flatten(2, 3).flatten(0, 1))
        return normal.unflatten(0, logits.shape[:2]).unflatten(2, (3, self.heads)).sum(dim=2).softmax(dim=-1)
