"""Checkpoints inside epochs, and a last one when the process is told to end."""

import re
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from facerec.checks import check_number
from facerec.errors import InputError
from facerec.files import LAST
from facerec.training.first_signal import FirstSignal
from facerec.training.inside_epoch import InsideEpoch

_SECONDS = {"s": 1, "min": 60, "h": 3600}


class SaveInside(pl.Callback):
    """Writes the checkpoint of the last epoch also inside epochs, from where a run goes on exactly.

    It is written between two steps, with all gradients used, and not just before a verification. At SIGTERM or Ctrl-C
    it is written once more after the running step, and the process ends; a verification is broken off, and done when
    the run goes on. A second signal ends the process at once. Runs on several devices end without.

    Args:
        save_every: a time, such as "30min" (or s or h), or a number of steps, such as "500steps", after which it is
            written again; None: only after epochs.
        grace: seconds after a signal until the process ends without; 0: at once.

    Raises:
        ValueError: ``save_every`` is neither a time nor a number of steps, or ``grace`` is negative.
    """

    def __init__(self, save_every: str | None = None, grace: float = 60.0) -> None:
        check_number("grace", grace)
        self._seconds, self._steps = _interval(save_every)
        self._signal = FirstSignal(grace)
        self._saved_at = (0, 0.0)  # step and time
        self._place: InsideEpoch | None = None
        self._is_inside = False

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Remember the place in the epoch; raise `InputError` if it was one of other devices."""
        self._place = InsideEpoch.read(checkpoint, "the checkpoint")
        if self._place is not None and self._place.devices != trainer.world_size:
            raise InputError(
                f"the checkpoint was written inside epoch {checkpoint['epoch']} by trainer.devices="
                f"{self._place.devices}, whose images these {trainer.world_size} would not know: take as many, or a "
                "checkpoint that was written after an epoch"
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._saved_at = trainer.global_step, time.monotonic()
        if self._place is not None:
            self._place.put_back(trainer)
            self._place = None
            trainer.fit_loop.epoch_loop.val_loop.batch_progress.total.reset_on_restart()
        if trainer.world_size == 1:
            self._signal.catch()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._signal.end()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self._saved_at[0]:
            self._signal.end()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if is_between_steps(trainer) and (self._signal.received or self._is_due(trainer)):
            self.save(trainer)

    def on_validation_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        is_over = 0 <= trainer.max_steps <= trainer.global_step  # a resumed run would not verify
        if self._signal.received and not is_over:
            progress: Any = trainer.fit_loop.epoch_loop.val_loop.batch_progress
            before = progress.total.completed - progress.current.completed
            progress.current.reset()
            # Lightning goes on with a verification of which a batch was begun.
            progress.total.load_state_dict(dict.fromkeys(("processed", "completed"), before))
            progress.total.load_state_dict(dict.fromkeys(("ready", "started"), before + 1))
            self.save(trainer)
            self._signal.end()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._signal.end()
        self._signal.release()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if "DataLoader worker" in str(exception):  # it was told to end as well, before it had left the group
            self._signal.end()
        self._signal.release()

    def _is_due(self, trainer: pl.Trainer) -> bool:
        step, since = self._saved_at
        if self._steps is not None:
            return trainer.global_step - step >= self._steps
        # All devices save at the same step.
        is_due = self._seconds is not None and time.monotonic() - since >= self._seconds
        return self._seconds is not None and trainer.strategy.reduce_boolean_decision(is_due, all=False)

    def save(self, trainer: pl.Trainer) -> None:
        """Write the checkpoint of the last epoch, where a callback writes one."""
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and f"{callback.filename}{callback.FILE_EXTENSION}" == LAST:
                self._is_inside = True
                trainer.save_checkpoint(f"{callback.dirpath}/{LAST}")
                self._is_inside = False

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._saved_at = trainer.global_step, time.monotonic()
        if self._is_inside:
            InsideEpoch.of(trainer).write(checkpoint)


def is_between_steps(trainer: pl.Trainer) -> bool:
    """Whether training can go on after this batch from a checkpoint: gradients are not accumulated, and no verification
    comes next, which Lightning would leave out."""
    loop = trainer.fit_loop.epoch_loop
    fetcher = trainer.fit_loop._data_fetcher
    assert fetcher is not None
    return not (loop._should_accumulate() or loop._num_ready_batches_reached() or loop._should_check_val_fx(fetcher))


def _interval(save_every: str | None) -> tuple[float | None, int | None]:
    """Return seconds and steps, one of them None."""
    if save_every is None:
        return None, None
    found = re.fullmatch(r"0*([1-9]\d{0,8}) ?(s|min|h|steps?)", str(save_every))
    if found is None:
        raise ValueError(
            f"save_every is {save_every!r}, neither a time nor a number of steps: write such as 30min or 500steps, or "
            "null to save after epochs only"
        )
    number, unit = int(found[1]), found[2]
    return (number * _SECONDS[unit], None) if unit in _SECONDS else (None, number)
