"""The combined margin: SphereFace's, ArcFace's and CosFace's in one formula."""

import math

import torch
from torch import Tensor

from facerec.heads.am_softmax import check_cosine_margin
from facerec.heads.cosine_head import CosineHead, check_angle, falling_cosine, sine_of


class CombinedMargin(CosineHead):
    """The target class's cosine becomes cos(m1 * theta + m2) - m3.

    Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", arXiv 1801.07698, equation 4. m1
    alone is SphereFace's margin, m2 alone ArcFace's, m3 alone AM-Softmax's. If m1 * theta + m2 exceeds pi, where the
    cosine would rise again, it is continued as in SphereFace (`facerec.heads.cosine_head.falling_cosine`); `ArcFace`
    is continued in another way.

    Args:
        m1: the factor of the angle.
        m2: added to the angle, in radians.
        m3: subtracted from the cosine.
    """

    def __init__(
        self,
        num_identities: int,
        embedding_dim: int = 512,
        m1: float = 1.0,
        m2: float = 0.3,
        m3: float = 0.2,
        scale: float = 64.0,
        shard: bool = False,
        sample: float = 1.0,
    ) -> None:
        if not 0 < m1 < math.inf:  # nan is neither
            raise ValueError(
                f"m1 is the factor of the angle and must be a positive number, got {m1}: 1 changes nothing"
            )
        check_angle("m2", m2)
        check_cosine_margin("m3", m3, num_identities)
        super().__init__(num_identities, embedding_dim, scale, shard, sample)
        self.m1, self.m2, self.m3 = m1, m2, m3

    def with_margin(self, cosine: Tensor, norms: Tensor) -> Tensor:
        theta = torch.atan2(sine_of(cosine), cosine)
        return falling_cosine(self.m1 * theta + self.m2) - self.m3
