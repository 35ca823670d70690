"""CurricularFace: ArcFace's margin, and hard negatives that weigh more as the training advances."""

import torch
from torch import Tensor

from facerec.heads.arcface import ArcFace
from facerec.heads.cosine_head import check_share


class CurricularFace(ArcFace):
    """The target class's cosine becomes T = cos(theta + margin), and that of another class, if it is larger than T,

        cos(theta_j) * (t + cos(theta_j)),

    where t is an exponential moving average of the target class's cosine, without margin, that starts at 0.

    Huang et al., "CurricularFace: Adaptive Curriculum Learning Loss for Deep Face Recognition", arXiv 2004.00288,
    section 3.2. The average is over the training batches of all devices; it is a buffer, saved in checkpoints. Past pi
    as in `ArcFace`. A batch has the weight ``t_alpha``, as in the published code; the paper's formula would give it
    the weight 0.99.

    Args:
        margin: in radians.
        t_alpha: the weight of a batch in the moving average.
    """

    t: Tensor

    def __init__(
        self,
        num_identities: int,
        embedding_dim: int = 512,
        margin: float = 0.5,
        scale: float = 64.0,
        t_alpha: float = 0.01,
        shard: bool = False,
        sample: float = 1.0,
    ) -> None:
        check_share("t_alpha", t_alpha)
        super().__init__(num_identities, embedding_dim, margin, scale, shard, sample)
        self.t_alpha = t_alpha
        self.register_buffer("t", torch.tensor(0.0))

    def with_margin(self, cosine: Tensor, norms: Tensor) -> Tensor:
        if self.training:
            self.t.lerp_(self.of_batch(cosine).mean().to(self.t), self.t_alpha)
        return super().with_margin(cosine, norms)

    def others(self, cosine: Tensor, target: Tensor) -> Tensor:
        return torch.where(cosine > target, cosine * (self.t + cosine), cosine)
