"""Compares an exported file with its checkpoint on the images of the benchmarks."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.errors import InputError
from facerec.verification.verify import VerificationResult

Results = dict[str, VerificationResult]
LEAST_COSINE = 0.9999
# Tolerated difference in correct decisions per 1,000 pairs: rounding can flip a pair at the threshold.
_PAIRS_PER_THOUSAND = 1
_SAME_ORDER = 10


@dataclass(frozen=True)
class Parity:
    """The least cosine between an image's two embeddings, and both verification results by benchmark."""

    least_cosine: float
    checkpoint: Results
    exported: Results

    def refuse_difference(self, remedy: str) -> None:
        """Raise `InputError` with ``remedy`` if the file differs too much from its checkpoint."""
        if not self.least_cosine > LEAST_COSINE:
            raise InputError(
                f"the exported network's embeddings differ from the checkpoint's (least cosine "
                f"{self.least_cosine:.6f}, must be above {LEAST_COSINE}): {remedy}"
            )
        for name, ours in self.checkpoint.items():
            theirs = self.exported[name]
            flipped = round(abs(theirs.accuracy - ours.accuracy) * ours.num_pairs)
            if flipped > max(1, _PAIRS_PER_THOUSAND * ours.num_pairs // 1000):
                raise InputError(
                    f"the exported network verifies {name} at {theirs.accuracy:.4f}, the checkpoint at "
                    f"{ours.accuracy:.4f}: {remedy}"
                )

    def is_rounding(self, own: "Parity") -> bool:
        """Return whether the file differs from its checkpoint about as the checkpoint from itself in double precision.

        The angles between the embeddings differ by less than a factor of ten then: the square root of 1 - cosine.
        """
        return 1 - own.least_cosine >= (1 - self.least_cosine) / _SAME_ORDER**2

    def summary(self) -> dict[str, Any]:
        """Return the comparison as plain values, for a JSON file."""
        both = {"checkpoint": self.checkpoint, "exported": self.exported}
        accuracies = {side: {name: result.accuracy for name, result in found.items()} for side, found in both.items()}
        return {"least_cosine": self.least_cosine, "accuracy": accuracies}


class Recorded(NamedTuple):
    """The verification of a network, and its outputs batch by batch."""

    results: Results
    outputs: list[Tensor]


def compare(ours: Recorded, exported: nn.Module, verify: Callable[[nn.Module], Results]) -> Parity:
    """Verify the ``exported`` network, and compare its outputs with the checkpoint's, image by image."""
    theirs = recorded(exported, verify)
    cosines = [F.cosine_similarity(a, b) for a, b in zip(ours.outputs, theirs.outputs, strict=True)]
    return Parity(float(torch.cat(cosines).min()), ours.results, theirs.results)


def rounding(ours: Recorded, backbone: nn.Module, verify: Callable[[nn.Module], Results]) -> Parity:
    """Compare ``backbone`` with itself in double precision: what differs here, no file in float32 can keep."""
    return compare(ours, InDoublePrecision(backbone), verify)


class InDoublePrecision(nn.Module):
    """A copy of a backbone that computes in float64; images and embeddings are float32."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone).double().eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone(images.double()).float()


def recorded(network: nn.Module, verify: Callable[[nn.Module], Results]) -> Recorded:
    """Verify ``network`` and keep its outputs."""
    outputs: list[Tensor] = []
    with network.register_forward_hook(lambda _module, _images, out: outputs.append(out.float().cpu())):
        return Recorded(verify(network), outputs)
