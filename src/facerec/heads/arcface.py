"""ArcFace: an additive margin on the angle."""

import torch
from torch import Tensor

from facerec.heads.cosine_head import CosineHead, add_angle, check_angle


class ArcFace(CosineHead):
    """The target class's cosine becomes cos(theta + margin).

    Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", arXiv 1801.07698, equation 3. If
    theta + margin exceeds pi, where the cosine would rise again, cos(theta) - margin * sin(margin) is used instead, so
    that the logit keeps falling.

    Args:
        margin: in radians.
    """

    def __init__(
        self,
        num_identities: int,
        embedding_dim: int = 512,
        margin: float = 0.5,
        scale: float = 64.0,
        shard: bool = False,
        sample: float = 1.0,
    ) -> None:
        check_angle(f"the margin of {type(self).__name__}", margin)
        super().__init__(num_identities, embedding_dim, scale, shard, sample)
        self.margin = margin

    def with_margin(self, cosine: Tensor, norms: Tensor) -> Tensor:
        # A number, and not a tensor of one: sine and cosine of the margin are computed in double precision.
        return add_angle(cosine, torch.tensor(self.margin, dtype=torch.float64))
