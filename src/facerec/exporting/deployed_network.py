"""The form of a trained backbone that is written to a file."""

from torch import Tensor, nn

from facerec.data.loading import normalise
from facerec.deploy import reparameterize, replaced
from facerec.exporting.folding import fold_batch_norms


class EmbedsPixels(nn.Module):
    """Maps decoded RGB images, uint8 ``(B, H, W, 3)``, to embeddings ``(B, D)``, or to what its backbone returns."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone(normalise(images))


def export_form(backbone: nn.Module, tolerance: float = 0.0) -> EmbedsPixels:
    """Return a copy that reads pixels, with cached weights, folded BatchNorm and the operators' export forms.

    Args:
        backbone: maps normalised images to embeddings or logits; not modified.
        tolerance: relative root mean square error allowed in position-dependent weights; 0: exact.
    """
    folded = fold_batch_norms(reparameterize(backbone))
    return EmbedsPixels(replaced(folded, lambda operator: operator.export_form(tolerance))).eval()
