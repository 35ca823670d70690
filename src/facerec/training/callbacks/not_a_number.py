"""Stop training when the loss is not finite."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from facerec.errors import InputError


class Diverged(InputError):
    """The loss of a run is not finite."""


class StopOnNaN(pl.Callback):
    """Stops the run with `Diverged`, an `InputError` that names the first step whose loss was not finite.

    The step is recorded on the device and read every ``every_n_steps`` steps and before a checkpoint is written: steps
    do not wait for the device, and no checkpoint contains NaN weights.
    """

    def __init__(self, every_n_steps: int = 50) -> None:
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps must be at least 1, got {every_n_steps}")
        self.every_n_steps = every_n_steps
        self._first_bad_step: Tensor | None = None

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        step = trainer.global_step
        bad = torch.where(torch.isfinite(outputs["loss"].detach()), -1, step)
        first = self._first_bad_step
        self._first_bad_step = bad if first is None else torch.where(first >= 0, first, bad)
        if step % self.every_n_steps == 0:
            self._check(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._check(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._check(trainer)

    def _check(self, trainer: pl.Trainer) -> None:
        step = -1 if self._first_bad_step is None else int(self._first_bad_step)
        if step >= 0:
            rate = trainer.optimizers[0].param_groups[0]["lr"]
            remedy = (
                "start again with a lower optimizer.lr, or, after half precision, continue from the last complete "
                "epoch with resume=auto trainer.precision=32-true; if neither helps, look at the images with facerec "
                "check_data"
            )
            if step <= 1:  # no step had changed the weights yet
                remedy = "look for the cause in the images with facerec check_data, or take trainer.precision=32-true"
            raise Diverged(
                f"the loss is NaN or infinite from step {step} on (learning rate {rate:g}, precision "
                f"{trainer.precision}): {remedy}"
            )
