"""Report the accuracy of each epoch, and stop a run that is not worth its other epochs."""

from collections.abc import Callable

import pytorch_lightning as pl

from facerec.data.held_out import HELD_OUT


class Pruned(Exception):
    """A run was stopped after ``epoch`` (from 0), because others were better at that epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"pruned after epoch {epoch}")
        self.epoch = epoch


class ReportEpochs(pl.Callback):
    """Calls ``report`` with each verified epoch (from 0) and its accuracy on held-out identities, a fraction.

    If ``report`` returns True, the run ends with `Pruned`, unless the epoch is its last.
    """

    def __init__(self, report: Callable[[int, float], bool]) -> None:
        self.report = report
        self._accuracy: float | None = None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._accuracy = float(trainer.callback_metrics[f"{HELD_OUT}/accuracy"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        accuracy, self._accuracy = self._accuracy, None
        epoch = trainer.current_epoch
        if accuracy is not None and self.report(epoch, accuracy) and epoch + 1 < (trainer.max_epochs or 0):
            raise Pruned(epoch)
