"""A trained backbone in the form in which it is written to a file."""

from torch import Tensor, nn

from facerec.data.loading import normalise
from facerec.deploy import reparameterize
from facerec.exporting.exported_taps import PositionTaps
from facerec.exporting.folding import fold_batch_norms
from facerec.exporting.low_rank import LowRankConv, rank_for
from facerec.exporting.operators import exportable
from facerec.operators.common.position_dependent_base import PositionDependentConv

# From six on, ONNX Runtime is no faster with them than tap by tap (docs/performance.md).
_MOST_DIRECTIONS = 5


class EmbedsPixels(nn.Module):
    """``uint8`` RGB images ``(B, H, W, 3)``, as they are decoded, to embeddings ``(B, D)``."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone(normalise(images))


def export_form(backbone: nn.Module, tolerance: float = 0.0) -> EmbedsPixels:
    """A copy that reads pixels, with weights cached and BatchNorm folded, in operators that can be exported.

    Args:
        backbone: normalised images to embeddings; left as it was.
        tolerance: by how much position-dependent weights may be off, root mean square, as a share: where a few
            directions come as close as that, the layer becomes a `LowRankConv`. At 0 all are applied tap by tap, which
            is exact, and which a compiler makes one loop of.
    """

    def form(conv: PositionDependentConv) -> nn.Module:
        rank = rank_for(conv, tolerance) if tolerance > 0 else _MOST_DIRECTIONS + 1
        return PositionTaps(conv) if rank > _MOST_DIRECTIONS else LowRankConv(conv, rank)

    return EmbedsPixels(exportable(fold_batch_norms(reparameterize(backbone)), form)).eval()
