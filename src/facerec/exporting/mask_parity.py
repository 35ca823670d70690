"""Compares an exported file of segmentation with its checkpoint: do both predict the same masks?"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import logit
from torch import nn

from facerec.errors import InputError
from facerec.exporting.deployed_network import EmbedsPixels
from facerec.segmentation.agreement import agreement

LEAST_AGREEMENT = 0.999


@dataclass(frozen=True)
class MaskParity:
    """How far two networks predict the same masks.

    Attributes:
        equal_pixels: share of the pixels of which both say the same about cup and disc.
        least_equal_pixels: the same in the image where it is least.
        dice: of one network's structures with the other's, the least of cup and disc, with all images together.
        logit_difference: the largest between two logits of a pixel.
        num_images: compared.
    """

    equal_pixels: float
    least_equal_pixels: float
    dice: float
    logit_difference: float
    num_images: int

    def refuse_difference(self, remedy: str) -> None:
        """Raise `InputError` with ``remedy`` if the masks agree less than `LEAST_AGREEMENT`, in pixels or in Dice."""
        for what, value in (("share of equal pixels", self.equal_pixels), ("Dice of both masks", self.dice)):
            if not value > LEAST_AGREEMENT:
                found = f"{what} {value:.6f}, must be above {LEAST_AGREEMENT}"
                raise InputError(f"the exported network's masks differ from the checkpoint's ({found}): {remedy}")

    def summary(self) -> dict[str, Any]:
        """Return the comparison as plain values, for a JSON file."""
        return asdict(self)


@torch.inference_mode()
def compare_masks(
    backbone: nn.Module,
    exported: Callable[[np.ndarray], np.ndarray],
    batches: Iterable[np.ndarray],
    threshold: float,
) -> MaskParity:
    """Compare the masks of ``backbone`` and of an ``exported`` file.

    Raises `ValueError` without images.

    Args:
        backbone: maps normalised images ``(B, 3, H, W)`` to logits ``(B, classes, H, W)``, in evaluation mode.
        exported: maps pixels to logits, as `facerec.exporting.formats.Model.embed`.
        batches: of images, uint8 ``(B, H, W, 3)``.
        threshold: a pixel belongs to a structure if its probability is larger.
    """
    network, cut = EmbedsPixels(backbone), logit(threshold)
    ours, theirs, largest = [], [], 0.0
    for pixels in batches:
        own, other = network(torch.from_numpy(pixels)).numpy(), exported(pixels)
        largest = max(largest, float(np.abs(own - other).max()))
        ours.append(own > cut)
        theirs.append(other > cut)
    if not ours:
        raise ValueError("there are no images to compare the networks on: give some")
    found = agreement(np.concatenate(ours), np.concatenate(theirs))
    return MaskParity(*found, logit_difference=largest, num_images=sum(map(len, ours)))
