"""AM-Softmax (CosFace): an additive margin on the cosine."""

from torch import Tensor

from facerec.heads.cosine_head import CosineHead


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
