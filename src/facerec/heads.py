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


class AMSoftmax(CosineHead):
    """The target class's cosine becomes cos(theta) - margin.

    Wang et al., "Additive Margin Softmax for Face Verification", arXiv 1801.05599, equation 5; the same formula as
    CosFace, arXiv 1801.09414, equation 4. The margin is in units of the cosine.
    """

    def __init__(
        self, num_identities: int, embedding_dim: int = 512, margin: float = 0.35, scale: float = 32.0
    ) -> None:
        super().__init__(num_identities, embedding_dim, margin, scale)
        # Centres as far apart as can be are no further apart than the largest one (arXiv 1801.09414, section 3.4).
        if margin * (num_identities - 1) > num_identities:
            largest = num_identities / (num_identities - 1)
            raise ValueError(f"margin must be at most {largest:.4g} for {num_identities} identities, got {margin}")

    def with_margin(self, cosine: Tensor) -> Tensor:
        return cosine - self.margin


class ArcFace(CosineHead):
    """The target class's cosine becomes cos(theta + margin).

    Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", arXiv 1801.07698, equation 3. The
    margin is in radians. If theta + margin exceeds pi, where the cosine would rise again, cos(theta) - margin *
    sin(margin) is used instead, so that the logit keeps falling.
    """

    def __init__(self, num_identities: int, embedding_dim: int = 512, margin: float = 0.5, scale: float = 64.0) -> None:
        if not margin < math.pi / 2:
            raise ValueError(f"the margin of ArcFace is in radians and below pi / 2, got {margin}")
        super().__init__(num_identities, embedding_dim, margin, scale)

    def with_margin(self, cosine: Tensor) -> Tensor:
        # The square root has an infinite slope at 0, where the cosine is +-1.
        sine = (1 - cosine.square()).clamp(min=1e-9).sqrt()
        shifted = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        past_pi = cosine < math.cos(math.pi - self.margin)
        return torch.where(past_pi, cosine - self.margin * math.sin(self.margin), shifted)
