"""The progress bar of training, with images per second and the time left for the whole run."""

import math
import time
from datetime import timedelta
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar


class ProgressLine(TQDMProgressBar):
    """Lightning's progress bar with ``images/s`` and ``left``; logs ``images_per_second`` of training for each epoch.

    Validation time counts in ``left`` only.
    """

    def __init__(self, refresh_rate: int = 5) -> None:
        super().__init__(refresh_rate=refresh_rate)
        self._fit_start = self._seconds = 0.0
        self._batch_start: float | None = None
        self._images = self._first_step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._fit_start, self._first_step = time.perf_counter(), trainer.global_step
        if trainer.fit_loop.restarted_mid_epoch:
            self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_epoch_start(trainer, pl_module)
        self._batch_start, self._seconds, self._images = None, 0.0, 0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        now = time.perf_counter()
        if self._batch_start is not None:  # the first batch waits for the workers to start
            self._seconds += now - self._batch_start
            self._images += len(batch[0]) * trainer.world_size
        self._batch_start = now
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._images:
            pl_module.log("images_per_second", self._images / self._seconds, rank_zero_only=True)
        super().on_train_epoch_end(trainer, pl_module)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """End the line, so that what is said about the end begins a new one."""
        for bar in (self._val_progress_bar, self._train_progress_bar):
            if bar is not None:
                bar.close()

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        logged = super().get_metrics(trainer, pl_module)
        # Most important first: narrow terminals truncate the end.
        metrics: dict[str, Any] = {}
        done, all_steps = trainer.global_step - self._first_step, trainer.estimated_stepping_batches
        if done and math.isfinite(all_steps):
            seconds = (time.perf_counter() - self._fit_start) / done * (all_steps - trainer.global_step)
            metrics["left"] = str(timedelta(seconds=round(seconds)))
        if self._images:
            metrics["images/s"] = f"{self._images / self._seconds:.0f}"
        measure = getattr(pl_module, "measure", "")
        for name, shown in (("train/loss_step", "loss"), (f"mean_{measure}", measure)):
            if name in logged:
                metrics[shown] = logged[name]
        return metrics
