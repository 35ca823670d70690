"""What can be known before the first step of a run that could not end well."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint, Timer

from facerec.errors import InputError
from facerec.files import BEST, LAST

# Settings of schedules that count epochs; after those of the first kind the rate falls.
_FALLS_AFTER = ("milestones", "step_size")
_COUNT_EPOCHS = (*_FALLS_AFTER, "T_max", "T_0", "total_iters", "total_steps", "step_size_up")
_LOGGED = ("lr", "train/loss", "train/loss_step", "train/loss_epoch", "images_per_second")


def refuse_what_cannot_end(trainer: pl.Trainer, folder: Path, measured: Sequence[str]) -> None:
    """Raise `InputError` for settings of ``trainer`` with which a run in ``folder`` would leave no results.

    ``measured`` is what evaluations log, as `Evaluator.logged` says.
    """
    _refuse_no_training(trainer)
    _refuse_clipping_without_effect(trainer)
    refuse_no_verification(trainer)
    for name in (BEST, LAST):
        _refuse_no_checkpoint(trainer, folder / name)
    _refuse_unknown_monitors(trainer, measured)


def unreached_epochs(lr_scheduler: dict[str, Any], max_epochs: int | None) -> str | None:
    """Return a sentence on the epochs to which the learning rate is planned, and which the run does not reach."""
    if max_epochs is None or max_epochs < 1:
        return None
    for key in _COUNT_EPOCHS:
        value = lr_scheduler.get(key)
        epochs = [epoch for epoch in (value if isinstance(value, list) else [value]) if isinstance(epoch, int)]
        # The rate of the epoch after the last one is of no use.
        late = [epoch for epoch in epochs if epoch >= max_epochs + (key not in _FALLS_AFTER)]
        if late:
            falls = "never falls" if key in _FALLS_AFTER and len(late) == len(epochs) else f"does not get to {late}"
            return (
                f"the learning rate {falls}, since trainer.max_epochs={max_epochs} ends before "
                f"lr_scheduler.{key}={value}, which counts epochs: give earlier ones if it should"
            )
    return None


def _refuse_no_training(trainer: pl.Trainer) -> None:
    if getattr(trainer, "fast_dev_run", False):
        raise InputError("trainer.fast_dev_run writes no checkpoint and no results: take trainer=smoke, a short run")
    for key in ("max_epochs", "max_steps", "limit_train_batches"):
        if getattr(trainer, key) == 0:
            raise InputError(f"trainer.{key}=0 trains nothing: raise it, or verify a checkpoint with facerec evaluate")
    callbacks: list[pl.Callback] = getattr(trainer, "callbacks", [])
    ends = any(isinstance(callback, Timer | EarlyStopping) or _is_the_users(callback) for callback in callbacks)
    if trainer.max_epochs == trainer.max_steps == -1 and not ends:
        raise InputError("trainer.max_epochs=-1 never ends: give a number of epochs, trainer.max_steps or max_time")


def _refuse_clipping_without_effect(trainer: pl.Trainer) -> None:
    limit = trainer.gradient_clip_val
    if limit is not None and not 0 < limit < math.inf:
        raise InputError(f"trainer.gradient_clip_val={limit} is no limit: give it a number above 0, or leave it out")


def refuse_no_verification(trainer: pl.Trainer) -> None:
    """Raise `InputError` for settings with which benchmarks are not verified, or not whole."""
    if trainer.limit_val_batches != 1.0 or isinstance(trainer.limit_val_batches, int):
        raise InputError(
            f"trainer.limit_val_batches={trainer.limit_val_batches} leaves images of a benchmark out: remove it, "
            "and trainer.overfit_batches and trainer.fast_dev_run, which set it"
        )
    every, last = trainer.check_val_every_n_epoch, trainer.max_epochs
    if every is not None and last is not None and 0 < last < every:
        raise InputError(
            f"trainer.check_val_every_n_epoch={every} verifies none of trainer.max_epochs={last} epochs: lower it, at "
            f"most to {last}"
        )


def refuse_unverified_epochs(trainer: pl.Trainer, batches: int) -> None:
    """Raise `InputError` if epochs of ``batches`` batches have no step, or do not end with a verification."""
    steps, between = steps_per_epoch(trainer.limit_train_batches, batches), getattr(trainer, "val_check_interval", None)
    if between is None:
        raise InputError(
            "trainer.val_check_interval is a time, and the best epoch is chosen at the end of epochs: leave it out"
        )
    every, wrong = max(1, int(steps * between)) if isinstance(between, float) else between, f"={between}"
    if between <= 0:
        wrong += " is no number of steps to verify after"
    elif steps % every and (trainer.check_val_every_n_epoch is not None or every % steps):
        wrong += f" does not verify the last of an epoch's {steps} steps, after which the best epoch is chosen"
    elif trainer.max_epochs is not None and 0 < trainer.max_epochs * steps < every:
        wrong += f" verifies none of trainer.max_epochs={trainer.max_epochs} epochs"
    else:
        return
    raise InputError(f"trainer.val_check_interval{wrong}: leave it out")


def steps_per_epoch(limit: int | float, batches: int) -> int:
    """Return how many of an epoch's ``batches`` are trained on, a number or a share; raise `InputError` if none is."""
    steps = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    if steps < 1:
        raise InputError(
            f"trainer.limit_train_batches={limit} of {batches} batches leaves none to train on: give 1 or more, or "
            f"a share of at least {math.ceil(100 / batches) / 100}"
        )
    return steps


def refuse_long_warmup(lr_scheduler: Mapping[str, Any], trainer: pl.Trainer, batches: int) -> None:
    """Raise `InputError` if the learning rate would still rise when a run of epochs of ``batches`` batches ends."""
    warmup = lr_scheduler.get("warmup_epochs") or 0
    steps = math.ceil(steps_per_epoch(trainer.limit_train_batches, batches) / trainer.accumulate_grad_batches)
    for key, epochs in (("max_epochs", trainer.max_epochs), ("max_steps", trainer.max_steps / steps)):
        if epochs is not None and 0 < epochs <= warmup:
            raise InputError(
                f"lr_scheduler.warmup_epochs={warmup} is not less than trainer.{key}={getattr(trainer, key)}, "
                f"{epochs:g} epochs, so that the learning rate only rises: give fewer, or train longer"
            )


def refuse_no_time(max_time: Any) -> None:
    """Raise `InputError` unless ``trainer.max_time`` is null or a time above zero, as Lightning takes it."""
    if max_time is None:
        return
    parts = re.fullmatch(r"(\d+):(\d\d):(\d\d):(\d\d)", max_time) if isinstance(max_time, str) else None
    if not (any(map(int, parts.groups())) if parts else isinstance(max_time, Mapping) and any(max_time.values())):
        raise InputError(
            f"trainer.max_time={max_time} is no time to train for: write DAYS:HOURS:MINUTES:SECONDS, such as "
            "00:01:30:00, or leave it out"
        )


def _refuse_no_checkpoint(trainer: pl.Trainer, path: Path) -> None:
    """Raise `InputError` unless a callback writes ``path`` after an epoch."""
    key = f"callbacks.{path.stem}"
    written = {file: c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) for file in [_file(c)]}
    callback = written.get(path.resolve())
    if callback is None:
        others = f", only {', '.join(sorted(file.name for file in written))}" if written else ""
        raise InputError(
            f"no callback writes {path}, which the results are of{others}: leave {key} as it is, and add others to it"
        )
    if callback.every_n_epochs == 0 or callback._save_on_train_epoch_end is False:
        raise InputError(f"{key} writes {path} inside epochs, where a run cannot go on: let it write after each epoch")
    for option, only in (("save_top_k", 1), ("every_n_epochs", 1), ("save_weights_only", False)):
        value = getattr(callback, option)
        if value != only:
            raise InputError(f"{key}.{option}={value} leaves no {path.name} to verify and to go on with: leave it out")


def _file(callback: ModelCheckpoint) -> Path:
    return Path(callback.dirpath or "", f"{callback.filename}{callback.FILE_EXTENSION}").resolve()


def _refuse_unknown_monitors(trainer: pl.Trainer, measured: Sequence[str]) -> None:
    """Raise `InputError` for a callback that waits for what is never logged, or takes the worst for the best."""
    callbacks: list[pl.Callback] = getattr(trainer, "callbacks", [])
    for callback in callbacks:
        if isinstance(callback, LearningRateMonitor) and not trainer.loggers:
            raise InputError(
                "LearningRateMonitor needs a logger, and logger=none gives none: leave it out, since metrics.csv has "
                "the rate, or take logger=tensorboard"
            )
        name, monitor = type(callback).__name__, str(getattr(callback, "monitor", None) or "lr")
        if monitor not in (*measured, *_LOGGED) and not any(map(_is_the_users, callbacks)):
            known = ", ".join([*measured, *_LOGGED])
            raise InputError(f"{name} has monitor={monitor}, which this run never logs: take one of {known}")
        if monitor in measured and getattr(callback, "mode", "max") == "min":
            raise InputError(f"{name} has mode=min, by which the lowest {monitor} counts as the best: give it mode=max")


def _is_the_users(callback: pl.Callback) -> bool:
    """Whether it may log numbers of its own."""
    return type(callback).__module__.partition(".")[0] not in ("facerec", "pytorch_lightning", "lightning")
