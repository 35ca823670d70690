"""A trained backbone in the form in which it is written to a file."""

from torch import Tensor, nn

from facerec.data.loading import normalise
from facerec.deploy import reparameterize, replaced
from facerec.exporting.folding import fold_batch_norms


class EmbedsPixels(nn.Module):
    """``uint8`` RGB images ``(B, H, W, 3)``, as they are decoded, to embeddings ``(B, D)``."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone(normalise(images))


def export_form(backbone: nn.Module, tolerance: float = 0.0) -> EmbedsPixels:
    """A copy that reads pixels, with weights cached, BatchNorm folded and operators in the form that is exported.

    Args:
        backbone: normalised images to embeddings; left as it was.
        tolerance: by how much position-dependent weights may be off, root mean square, as a share; 0: exact.
    """
    folded = fold_batch_norms(reparameterize(backbone))
    return EmbedsPixels(replaced(folded, lambda operator: operator.export_form(tolerance))).eval()
