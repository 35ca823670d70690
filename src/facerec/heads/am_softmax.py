"""AM-Softmax (CosFace): an additive margin on the cosine."""

from torch import Tensor

from facerec.checks import check_number
from facerec.heads.cosine_head import CosineHead


class AMSoftmax(CosineHead):
    """The target class's cosine becomes cos(theta) - margin.

    Wang et al., "Additive Margin Softmax for Face Verification", arXiv 1801.05599, equation 5; the same formula as
    CosFace, arXiv 1801.09414, equation 4.

    Args:
        margin: in units of the cosine.
    """

    def __init__(
        self,
        num_identities: int,
        embedding_dim: int = 512,
        margin: float = 0.35,
        scale: float = 32.0,
        shard: bool = False,
        sample: float = 1.0,
    ) -> None:
        super().__init__(num_identities, embedding_dim, scale, shard, sample)
        check_cosine_margin("margin", margin, num_identities)
        self.margin = margin

    def with_margin(self, cosine: Tensor, norms: Tensor) -> Tensor:
        return cosine - self.margin


def check_cosine_margin(name: str, margin: float, num_identities: int) -> None:
    """Check for a margin that N classes can have."""
    check_number(name, margin)
    # Centres as far apart as can be are no further apart than the largest one (arXiv 1801.09414, section 3.4).
    if margin * (num_identities - 1) > num_identities:
        largest = num_identities / (num_identities - 1)
        raise ValueError(f"{name} must be at most {largest:.4g} for {num_identities} identities, got {margin}")
