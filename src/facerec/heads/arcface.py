"""ArcFace: an additive margin on the angle."""

import math

import torch
from torch import Tensor

from facerec.heads.cosine_head import CosineHead


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
