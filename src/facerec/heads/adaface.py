"""AdaFace: a margin that depends on the image's quality, which the norm of its embedding tells."""

import torch
from torch import Tensor

from facerec.checks import check_number
from facerec.heads.cosine_head import CosineHead, check_angle, check_share, falling_cosine, sine_of

_EPSILON = 1e-3
_LARGEST_NORM = 100.0


class AdaFace(CosineHead):
    """The target class's cosine becomes cos(theta + g_angle) - g_add, with

        g_angle = -margin * z,   g_add = margin * z + margin,   z = clip((norm - mean) / (std / h), -1, 1).

    Kim et al., "AdaFace: Quality Adaptive Margin for Face Recognition", arXiv 2204.00964, section 3.3. An image of
    low norm (z = -1) has ArcFace's margin, one of mean norm (z = 0) AM-Softmax's, and that of high norm (z = 1) is
    cos(theta - margin) - 2 * margin. Mean and standard deviation are exponential moving averages of those of the
    training batches, over all devices; they are buffers, saved in checkpoints. The norm has no gradient. As in the
    published code, norms are limited to 0.001 to 100, the averages start at 20 and 100, 0.001 is added to the standard
    deviation, and theta + g_angle is at least 0.

    Deviation: past pi the published code holds cos(theta + g_angle) at -1, where it has no slope; here it keeps falling
    (`facerec.heads.cosine_head.falling_cosine`).

    Args:
        margin: in radians, and in units of the cosine.
        h: the share of a standard deviation that z is for a norm one standard deviation from the mean.
        t_alpha: the weight of a batch in the moving averages.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        num_identities: int,
        embedding_dim: int = 512,
        margin: float = 0.4,
        h: float = 0.333,
        scale: float = 64.0,
        t_alpha: float = 0.01,
        shard: bool = False,
        sample: float = 1.0,
    ) -> None:
        check_angle("the margin of AdaFace", margin)
        check_number("h", h)
        check_share("t_alpha", t_alpha)
        super().__init__(num_identities, embedding_dim, scale, shard, sample)
        self.margin, self.h, self.t_alpha = margin, h, t_alpha
        self.register_buffer("mean", torch.tensor(20.0))
        self.register_buffer("std", torch.tensor(100.0))

    def with_margin(self, cosine: Tensor, norms: Tensor) -> Tensor:
        norms = norms.detach().clamp(_EPSILON, _LARGEST_NORM)
        if self.training:
            self._follow(self.of_batch(norms))
        quality = ((norms - self.mean) / (self.std + _EPSILON) * self.h).clamp(-1, 1)
        theta = torch.atan2(sine_of(cosine), cosine)
        return falling_cosine((theta - self.margin * quality).clamp(min=0)) - self.margin * (quality + 1)

    def _follow(self, norms: Tensor) -> None:
        """Move the averages towards mean and standard deviation of a batch; one image has no deviation."""
        self.mean.lerp_(norms.mean().to(self.mean), self.t_alpha)
        if len(norms) > 1:
            self.std.lerp_(norms.std().to(self.std), self.t_alpha)
