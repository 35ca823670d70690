"""Axial attention: attention along columns, then along rows, with relative position embeddings.

Wang, Zhu, Green, Adam, Yuille, Chen, "Axial-DeepLab: Stand-Alone Axial-Attention for Panoptic Segmentation", ECCV 2020,
arXiv 2003.07853, section 3.2, equation 4.

    q, k, v = BN(1x1 convolution of x), of C / 2, C / 2 and C channels;  for positions i, j of a line, per head
    A_ij = softmax_j(BN(q_i . k_j) + BN(q_i . rq_(i - j)) + BN(k_j . rk_(j - i)))
    y_i = BN(sum over j of A_ij v_j) + BN(sum over j of A_ij rv_(i - j))

This is the paper's position-sensitive attention, with the batch normalisations and 8 heads of the published model. The
span is the whole axis, so the embeddings rq, rk and rv, which the heads share, depend on the image size. Stride 2 is
average pooling after both axes.

Deviations from the published code: the scales of the logits' normalisation start at 0.1. With the published 1
    (``logit_gain=1``) the gradient grows fivefold from layer to layer, and a MobileNetV2 with seven of these layers
    stayed at chance at this project's learning rates. That normalisation has no shift, which the softmax would cancel.
    The average pooling rounds up, so that odd sizes work.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.checks import check_counts, check_divides
from facerec.operators.base import SpatialOperator


class AxialAttention(SpatialOperator):
    """Attention along both axes of the map, each over its whole length.

    An axis of length S has ``2 * C * C + 8 * C + 3 * heads + 2 * (C / heads) * (2 * S - 1)`` parameters and takes
    ``2 * C * C + 3.5 * C * S`` multiply-adds per input position.

    Args:
        stride: of the average pooling after the attention.
        out_size: (H, W) of the output; an input larger than ``stride * out_size`` is refused.
        heads: each attends with C / heads channels, an even number.
        logit_gain: initial scale of the logits' normalisation, positive.
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

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if height > self.largest[0] or width > self.largest[1]:
            raise ValueError(
                f"an input of {height}x{width} is larger than {self.largest[0]}x{self.largest[1]}, for which there are "
                "relative positions: build the network for this image size"
            )
        out = self.along_width(self.along_height(x))
        if self.stride == 1:
            return out
        return F.avg_pool2d(out, self.stride, ceil_mode=True, count_include_pad=False)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Count the projections, three logits and two weighted sums of both axes."""
        _, channels, height, width = x.shape
        return height * width * (4 * channels**2 + 7 * channels * (height + width) // 2)


class _LineAttention(nn.Module):
    """Attention along ``axis``, 2 or 3, of ``(B, C, H, W)``, over L lines of S positions each, S at most ``side``."""

    def __init__(self, channels: int, heads: int, side: int, axis: int, logit_gain: float) -> None:
        super().__init__()
        self.axis, self.logit_gain = axis, logit_gain
        head_width = channels // heads
        self.heads, self.parts = heads, (head_width // 2, head_width // 2, head_width)
        # Output channels are ordered (head, q k v, channel).
        self.qkv = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.qkv_norm = nn.BatchNorm2d(2 * channels)
        self.relative = nn.Parameter(torch.empty(2 * head_width, 2 * side - 1))
        self.logit_norm = nn.BatchNorm2d(3 * heads)
        # A shift is the same for all keys of a query, so the softmax cancels it.
        self.logit_norm.register_parameter("bias", None)
        self.out_norm = nn.BatchNorm2d(2 * channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Keep the variance in the projections, and draw embeddings of about unit length."""
        nn.init.normal_(self.qkv.weight, std=self.qkv.in_channels**-0.5)
        nn.init.normal_(self.relative, std=self.parts[2] ** -0.5)
        for norm in (self.qkv_norm, self.logit_norm, self.out_norm):
            norm.reset_running_stats()
            nn.init.ones_(norm.weight)
            if norm.bias is not None:
                nn.init.zeros_(norm.bias)
        nn.init.constant_(self.logit_norm.weight, self.logit_gain)

    def forward(self, x: Tensor) -> Tensor:
        # (B, heads, 2 * width, H, W) to (B, L, heads, S, 2 * width)
        lines_first = (0, 4, 1, 3, 2) if self.axis == 2 else (0, 3, 1, 4, 2)
        projected = self.qkv_norm(self.qkv(x)).unflatten(1, (self.heads, -1)).permute(lines_first)
        query, key, value = projected.split(self.parts, dim=-1)
        query_relative, key_relative, value_relative = self._embeddings(x.shape[self.axis], value.dtype)
        attention = self._attention(query, key, query_relative, key_relative).to(value.dtype)
        from_relative = torch.einsum("bngij,cij->bngic", attention, value_relative)
        # (B, L, 2, heads, S, width) to (B, 2, heads, width, H, W)
        channels_first = (0, 2, 3, 5, 4, 1) if self.axis == 2 else (0, 2, 3, 5, 1, 4)
        both = torch.stack([attention @ value, from_relative], dim=2).permute(channels_first).flatten(1, 3)
        from_values, from_embeddings = self.out_norm(both.contiguous(memory_format=torch.channels_last)).chunk(2, dim=1)
        return from_values + from_embeddings

    def _embeddings(self, side: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Return the embeddings for query i and key j, ``(channels, i, j)``: of i - j for query and value, of j - i for
        the key."""
        positions = torch.arange(side, device=self.relative.device)
        offsets = positions[:, None] - positions
        middle = self.relative.shape[1] // 2
        query, key, value = self.relative.to(dtype).split(self.parts)
        return query[:, middle + offsets], key[:, middle - offsets], value[:, middle + offsets]

    def _attention(self, query: Tensor, key: Tensor, query_relative: Tensor, key_relative: Tensor) -> Tensor:
        """Return ``(B, L, heads, S, S)`` in the type of the parameters: float32 under autocast."""
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
