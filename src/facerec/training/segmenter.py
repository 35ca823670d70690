"""The Lightning module that trains a network to segment optic disc and cup."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.data.fundus.masked_source import CUP, RIM
from facerec.errors import InputError
from facerec.training.learner import Learner, Training
from facerec.training.mask_evaluator import MaskEvaluator

_STRUCTURES = 2


class Segmenter(Learner, MaskEvaluator):
    """Trains a network with the binary cross-entropy of cup and disc, and evaluates it after each epoch.

    The loss is the mean over both structures and all pixels, as in the published code of TVConv (arXiv 2203.10489,
    section 4.2): the disc is the rim and the cup.

    Args:
        training: how.
        backbone: normalised images ``(B, 3, H, W)`` to logits ``(B, 2, H, W)`` of cup and disc.
        protocol: name of a protocol in `facerec.segmentation.mask_protocols.PROTOCOLS`.
    """

    evaluator = MaskEvaluator

    def __init__(self, training: Training, backbone: nn.Module, protocol: str) -> None:
        super().__init__(training, backbone, protocol)
        if getattr(backbone, "classes", None) != _STRUCTURES:
            raise InputError(
                f"{type(backbone).__name__} makes no masks of {_STRUCTURES} structures, cup and disc: take "
                "backbone=deeplab, or a network with classes=2"
            )
        self.begin()

    def loss(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        images, masks = batch
        logits = self.backbone(images)
        targets = torch.stack([masks == CUP, masks >= RIM], 1).to(logits)
        return F.binary_cross_entropy_with_logits(logits, targets), {}
