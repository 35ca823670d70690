"""SASA: stand-alone self-attention, each position over the window around it.

Ramachandran, Parmar, Vaswani, Bello, Levskaya, Shlens, "Stand-Alone Self-Attention in Vision Models", NeurIPS 2019,
arXiv 1906.05909.

    q, k, v = 1x1 convolutions of x;  y_p = sum over d of softmax_d(q_p . k_(p + d) + q_p . r_d) * v_(p + d)

per head. r_d is a learned embedding of the row offset followed by one of the column offset, each of half the head's
width (section 3, equations 2 and 3; 8 heads and windows of 7 as in the paper). Stride 2 is attention at the full
resolution, then average pooling.

Deviations from the paper: the logits are divided by the square root of the head's width (not with
    ``scale_logits=false``); without it short trainings of a MobileNetV2 at this project's learning rates ended in a NaN
    loss or at chance. The projections see all channels, as in most implementations; with ``qkv_groups=heads`` they see
    those of their head, as in the paper. The paper does not say what is beyond the border, nor how it initialises. The
    average pooling rounds up, so that odd sizes work.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.checks import check_choice, check_counts, check_divides
from facerec.kernels.local_attention import local_attention
from facerec.operators.base import SpatialOperator


class SASA(SpatialOperator):
    """Self-attention over the window around each position, for any map size.

    It has ``3 * C * C / qkv_groups + window * C`` parameters and takes ``3 * C * C / qkv_groups + 3 * window**2 * C``
    multiply-adds per input position: products with keys, embeddings and values.

    Args:
        stride: of the average pooling after the attention.
        window: side of the window, odd.
        heads: each attends with C / heads channels, an even number.
        qkv_groups: groups of the projections: 1, or ``heads``, so that a head sees only its own channels.
        padding: "mask": positions outside the map do not count; "zeros": their keys and values are 0 and take part in
            the softmax.
        scale_logits: divide the logits by sqrt(C / heads).
    """

    default_last_stages = 3

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        out_size: tuple[int, int] | None = None,
        *,
        window: int = 7,
        heads: int = 8,
        qkv_groups: int = 1,
        padding: str = "mask",
        scale_logits: bool = True,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, window=window, heads=heads)
        check_divides("heads", heads, channels, even_share=True)
        check_choice("padding", padding, ("mask", "zeros"))
        if qkv_groups not in (1, heads):
            raise ValueError(f"qkv_groups must be 1 or the number of heads, {heads}, got {qkv_groups!r}")
        self.stride, self.window, self.heads, self.padding = stride, window, heads, padding
        self.scale = (channels // heads) ** -0.5 if scale_logits else 1.0
        # Output channels are ordered (head, q k v, channel), so that groups are heads.
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, groups=qkv_groups, bias=False)
        self.row_embedding = nn.Parameter(torch.empty(heads, window, channels // heads // 2))
        self.column_embedding = nn.Parameter(torch.empty_like(self.row_embedding))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw each projection from Kaiming normal, and embeddings of about unit length."""
        channels_seen = self.qkv.weight.shape[1]
        nn.init.normal_(self.qkv.weight, std=(2 / channels_seen) ** 0.5)
        for embedding in (self.row_embedding, self.column_embedding):
            nn.init.normal_(embedding, std=(2 * embedding.shape[2]) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(1, (self.heads, 3, -1)).permute(2, 0, 1, 4, 5, 3)
        query = query * self.scale
        out = local_attention(query, key, value, self.row_embedding, self.column_embedding, self.padding == "zeros")
        out = out.flatten(3).permute(0, 3, 1, 2)
        if self.stride == 1:
            return out
        return F.avg_pool2d(out, self.stride, ceil_mode=True, count_include_pad=False)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Count projections, logits and weighted values, over whole windows."""
        positions, channels = x.shape[2] * x.shape[3], x.shape[1]
        return positions * (self.qkv.weight.numel() + 3 * self.window**2 * channels)
