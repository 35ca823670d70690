"""Margin-softmax heads: cosines to the class centres, a margin on the target class's cosine, a scale.

B images, D embedding dimensions, N identities.
"""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CosineHead(nn.Module, ABC):
    """The base of the heads: ``forward(embeddings (B, D), labels (B,))`` returns logits ``(B, N)`` in float32.

    It owns the class centres ``weight (N, D)``.

    Args:
        num_identities: N.
        embedding_dim: D.
        margin: its meaning is defined by the subclass.
        scale: the factor before the softmax.

    Raises:
        ValueError: N or the scale is not positive, or the margin is negative or too large.
    """

    def __init__(self, num_identities: int, embedding_dim: int, margin: float, scale: float) -> None:
        super().__init__()
        if num_identities < 1:
            raise ValueError(f"num_identities must be at least 1, got {num_identities}")
        if not (0 <= margin < math.inf and 0 < scale < math.inf):  # nan is neither
            raise ValueError(f"margin must be 0 or more and scale positive, got margin {margin} and scale {scale}")
        self.margin, self.scale = margin, scale
        self.weight = nn.Parameter(torch.empty(num_identities, embedding_dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the class centres uniformly from the unit sphere."""
        with torch.no_grad():
            self.weight.copy_(F.normalize(torch.randn_like(self.weight)))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scaled cosines, with the margin applied to the column of each image's label."""
        # Cosines near 1 need more than the 8 bits of precision of bfloat16.
        with torch.autocast(embeddings.device.type, enabled=False):
            cosine = F.linear(F.normalize(embeddings.float()), F.normalize(self.weight.float()))
            target = cosine.gather(1, labels[:, None])
            return self.scale * cosine.scatter(1, labels[:, None], self.with_margin(target))

    @abstractmethod
    def with_margin(self, cosine: Tensor) -> Tensor:
        """Apply the margin to the cosine of the target class, ``(B, 1)``."""
