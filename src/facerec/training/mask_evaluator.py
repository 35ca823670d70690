"""The Lightning module that scores the masks of a network."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn

from facerec.data.fundus.memory_images import MaskedSet
from facerec.data.fundus.segmentation_datamodule import SegmentationDataModule
from facerec.data.held_out import HELD_OUT
from facerec.plots.overlays import Overlay, overlay_figure
from facerec.segmentation.mask_protocols import (
    PROTOCOLS,
    ImageScore,
    dice_of_structures,
    predicted,
    probabilities_at,
    score_structures,
)
from facerec.segmentation.mask_results import MaskResult
from facerec.segmentation.mask_scoring import structures
from facerec.training.evaluator import Evaluator

Batch = tuple[Tensor, Tensor]
_SHOWN = 8  # images of a set


class MaskEvaluator(Evaluator):
    """Predicts the masks of all images of each set of the data module, in their masks' own size, and scores them.

    After a training epoch only Dice is computed, as ``NAME/cup_dice``, ``NAME/disc_dice`` and their mean; otherwise
    everything, which is in ``results``.

    Args:
        backbone: normalised images ``(B, 3, H, W)`` to logits ``(B, 2, H, W)`` of cup and disc.
        protocol: name of a protocol in `facerec.segmentation.mask_protocols.PROTOCOLS`.
    """

    measure = "dice"
    data_module = SegmentationDataModule
    results: dict[str, MaskResult]

    def __init__(self, backbone: nn.Module, protocol: str) -> None:
        super().__init__(backbone)
        if protocol not in PROTOCOLS:
            raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}")
        self.protocol = PROTOCOLS[protocol]
        self.overlays: dict[str, list[Overlay]] = {}
        self._rows: list[list[Batch]] = []
        self._floors: dict[str, list[ImageScore]] = {}

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.backbone(images).float()

    def figures(self) -> dict[str, Figure]:
        return {name: overlay_figure(shown, name) for name, shown in self.overlays.items() if shown}

    def monitored(self, monitor: str | None) -> str | None:
        """Return what decides which epoch is the best, by the protocol: held-out images, if there are any, or the
        test images of the unseen domain."""
        if self.protocol.best_epoch_on == HELD_OUT:
            return super().monitored(monitor)
        return f"{self._data().unseen}/{self.measure}"

    def on_validation_epoch_start(self) -> None:
        self._rows = [[] for _ in self.sets()]
        self.overlays = {each.name: [] for each in self.sets()}

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        images, indices = batch
        each = self._data().sets[dataloader_idx]
        rows = [
            self._scored(each, index, image, logits)
            for index, image, logits in zip(
                indices.tolist(), images.cpu().numpy(), self(images).cpu().numpy(), strict=True
            )
        ]
        self._rows[dataloader_idx].append((torch.tensor(rows, dtype=torch.float64), indices.cpu()))

    def _scored(self, each: MaskedSet, index: int, image: np.ndarray, logits: np.ndarray) -> Sequence[float]:
        """Return all numbers of an image, or the Dice of cup and disc in training."""
        mask = each.mask(index)
        size = (mask.shape[0], mask.shape[1])
        prediction = predicted(probabilities_at(logits, size), self.protocol)
        if len(self.overlays[each.name]) < _SHOWN:
            self.overlays[each.name].append(Overlay(each.source.name(index), _pixels(image, size), mask, prediction))
        if self._is_in_training():
            return dice_of_structures(prediction, structures(mask), self.protocol)
        return score_structures(prediction, mask, self.protocol)

    def _is_in_training(self) -> bool:
        return self.trainer.state.fn == TrainerFn.FITTING

    def on_validation_epoch_end(self) -> None:
        measured: dict[str, float] = {}
        for each, batches in zip(self._data().sets, self._rows, strict=True):
            rows, indices = (torch.cat(parts).to(self.device) for parts in zip(*batches, strict=True))
            table = self.gathered(rows, indices, each).cpu().numpy()
            if self._is_in_training():
                cup, disc = table.mean(axis=0).tolist()
                self.log_dict({f"{each.name}/cup_dice": cup, f"{each.name}/disc_dice": disc})
                measured[each.name] = (cup + disc) / 2
            else:
                scores = [ImageScore.of_numbers(row) for row in table]
                self.results[each.name] = MaskResult(scores, self._floor(each), self.protocol)
                measured[each.name] = self.results[each.name].mean_dice
        self._rows = []
        self.log_measures(measured)

    def _floor(self, each: MaskedSet) -> list[ImageScore]:
        """Return the scores of the constant mask, which no weights change."""
        if each.name not in self._floors:
            masks = (each.mask(index) for index in range(each.num_images))
            self._floors[each.name] = [
                score_structures(structures(self._data().constant_mask(mask.shape)), mask, self.protocol)
                for mask in masks
            ]
        return self._floors[each.name]

    def _data(self) -> SegmentationDataModule:
        data = getattr(self.trainer, "datamodule", None)
        assert isinstance(data, SegmentationDataModule)
        return data


def _pixels(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the normalised image ``(3, H, W)`` as the network sees it, uint8 ``(*size, 3)``."""
    pixels = np.ascontiguousarray((image.transpose(1, 2, 0) + 1) * 127.5)
    return cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR).round().clip(0, 255).astype(np.uint8)
