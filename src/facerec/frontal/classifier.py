"""A narrow MobileNetV2 that predicts the probability that a face is frontal."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facerec.backbones import MobileNetV2
from facerec.data.loading import normalise
from facerec.errors import InputError
from facerec.files import check_zip, refuse_no_regular_file, replacing
from facerec.frontal.borders import disguise


class FrontalClassifier(pl.LightningModule):
    """A classifier of images with covered borders, trained on batches ``(images, borders, is_frontal)``.

    It returns the logit of "frontal". Both poses have equal total weight in the loss, whatever their numbers of images,
    so the probability is that of a set with as many frontal as profile images.

    Args:
        width: multiplier of the channel counts.
        image_size: side of the images in pixels.
        frontal_share: fraction of frontal images in the training set, to balance the loss.
        max_lr: highest learning rate.
        seed: seed of the augmentation in `disguise`.
    """

    def __init__(
        self,
        width: float = 0.25,
        image_size: int = 64,
        *,
        frontal_share: float = 0.5,
        max_lr: float = 4e-3,
        seed: int = 1,
    ) -> None:
        super().__init__()
        self.arguments = {"width": width, "image_size": image_size}
        self.network = MobileNetV2(width=width, image_size=(image_size, image_size), embedding_dim=64)
        self.logit = nn.Linear(64, 1)
        self.calibration = nn.Buffer(torch.tensor([1.0, 0.0]))  # slope and offset (Platt, 1999)
        self.image_size, self._frontal_share, self._max_lr, self._seed = image_size, frontal_share, max_lr, seed

    def forward(self, images: Tensor) -> Tensor:
        """Return calibrated logits ``(B,)`` of uint8 RGB ``(B, S, S, 3)``.

        Each is the mean over the image and its horizontal flip, which is frontal exactly if the image is.
        """
        slope, offset = self.calibration
        images = normalise(images)
        return slope * (self._score(images) + self._score(images.flip(-1))) / 2 + offset

    def _score(self, images: Tensor) -> Tensor:
        return self.logit(self.network(images))[:, 0]

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        images, borders, is_frontal = batch
        images = disguise(normalise(images), borders, is_frontal, (self._seed, self.current_epoch, batch_idx))
        weight = torch.where(is_frontal, 0.5 / self._frontal_share, 0.5 / (1 - self._frontal_share))
        return F.binary_cross_entropy_with_logits(self._score(images), is_frontal.float(), weight)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), weight_decay=1e-2)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self._max_lr, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @torch.inference_mode()
    def logits(self, images: np.ndarray, batch_size: int = 512) -> np.ndarray:
        """Return calibrated logits, float64 ``(N,)``, of uint8 RGB ``(N, S, S, 3)`` with covered borders."""
        self.eval()
        batches = (torch.from_numpy(images[i : i + batch_size]) for i in range(0, len(images), batch_size))
        return np.concatenate([np.zeros(0), *(self(batch.to(self.device)).double().cpu().numpy() for batch in batches)])


def save_classifier(classifier: FrontalClassifier, path: Path, results: dict[str, Any]) -> None:
    """Write weights, arguments and the classifier's ``results``; the file is written whole or not at all."""
    content = {"arguments": classifier.arguments, "state_dict": classifier.state_dict(), "results": results}
    stored = BytesIO()  # PyTorch's own writer of files raises RuntimeError when the disk is full
    torch.save(content, stored)
    with replacing(path) as partial:
        partial.write_bytes(stored.getbuffer())


def load_classifier(path: str | Path) -> FrontalClassifier:
    """Load a classifier without executing code from the file; raise `InputError` if the file is missing, damaged or
    another kind of file."""
    refuse_no_regular_file(path)
    try:
        check_zip(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        classifier = FrontalClassifier(**content["arguments"])
        classifier.load_state_dict(content["state_dict"])
    except OSError as error:
        raise InputError(
            f"classifier {path} cannot be read ({error.strerror}): train one with facerec train_frontal"
        ) from error
    except Exception as error:  # a file of another kind can raise anything
        raise InputError(
            f"{path} is damaged or no classifier of frontal faces: give a file that facerec train_frontal wrote"
        ) from error
    return classifier.eval()
