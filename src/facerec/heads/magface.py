"""MagFace: a margin that grows with the norm of the embedding, and a term of the loss that rewards large norms."""

import math

from torch import Tensor

from facerec.checks import check_number
from facerec.heads.cosine_head import CosineHead, add_angle, check_angle


class MagFace(CosineHead):
    """The target class's cosine becomes cos(theta + m(a)); the loss is greater by ``regularisation`` times mean g(a),

        m(a) = lower_margin + (upper_margin - lower_margin) * (a - lower_norm) / (upper_norm - lower_norm)
        g(a) = 1 / a + a / upper_norm^2,

    where a is the norm of the embedding, limited to ``lower_norm`` to ``upper_norm``, outside of which it has no
    gradient.

    Meng et al., "MagFace: A Universal Representation for Face Recognition and Quality Assessment", arXiv 2103.06627,
    section 3.2. The paper's names are l_m, u_m, l_a, u_a and lambda_g. Past pi as in `facerec.heads.ArcFace`, with the
    margin of the image.

    Args:
        lower_margin: in radians, at the smallest norm.
        upper_margin: in radians, at the largest norm.
        lower_norm: the smallest norm that is told apart.
        upper_norm: the largest norm that is told apart.
        regularisation: the weight of g(a); 0 for none.
    """

    def __init__(
        self,
        num_identities: int,
        embedding_dim: int = 512,
        lower_margin: float = 0.45,
        upper_margin: float = 0.8,
        lower_norm: float = 10.0,
        upper_norm: float = 110.0,
        regularisation: float = 35.0,
        scale: float = 64.0,
        shard: bool = False,
        sample: float = 1.0,
    ) -> None:
        _check_rising("margin", lower_margin, upper_margin)
        _check_rising("norm", lower_norm, upper_norm)
        check_angle("upper_margin", upper_margin)
        if lower_norm == 0 or lower_norm == upper_norm:
            problem = f"the norms must be above 0 and differ, got lower_norm={lower_norm} and upper_norm={upper_norm}"
            raise ValueError(f"{problem}: those of the paper are 10 and 110")
        check_number("regularisation", regularisation)
        super().__init__(num_identities, embedding_dim, scale, shard, sample)
        self.lower_margin, self.upper_margin = lower_margin, upper_margin
        self.lower_norm, self.upper_norm, self.regularisation = lower_norm, upper_norm, regularisation

    def with_margin(self, cosine: Tensor, norms: Tensor) -> Tensor:
        share = (self._limited(norms) - self.lower_norm) / (self.upper_norm - self.lower_norm)
        return add_angle(cosine, self.lower_margin + (self.upper_margin - self.lower_margin) * share)

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        norms = self._limited(embeddings.float().norm(dim=1))
        extra = (1 / norms + norms / self.upper_norm**2).mean()
        return super().loss(embeddings, labels) + self.regularisation * extra

    def _limited(self, norms: Tensor) -> Tensor:
        return norms.clamp(self.lower_norm, self.upper_norm)


def _check_rising(what: str, lower: float, upper: float) -> None:
    if not 0 <= lower <= upper < math.inf:  # nan is neither
        problem = f"lower_{what} must be 0 or more and at most upper_{what}"
        raise ValueError(f"{problem}, got lower_{what}={lower} and upper_{what}={upper}")
