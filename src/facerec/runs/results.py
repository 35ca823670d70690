"""The results of a run: evaluation of its best and last checkpoint, fingerprints of the data, cost."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Timer

from facerec.console import log
from facerec.cost import measure_cost
from facerec.data.image_datamodule import ImageDataModule
from facerec.errors import InputError
from facerec.files import BEST, LAST, LAST_SCORES, RESULTS, SCORES
from facerec.runs.task_results import TaskResults, task_results
from facerec.training.checkpoints import BestCheckpoint, load_checkpoint, load_weights
from facerec.training.learner import Learner


def run_results(trainer: pl.Trainer, learner: Learner, data: ImageDataModule, folder: Path) -> dict[str, Any]:
    """Evaluate both checkpoint files and return the fields of `RunResults` other than the provenance."""
    speed = trainer.callback_metrics.get("images_per_second")
    trainer.loggers = []  # no more points in the training curves
    of_task = task_results(learner.config, data, trainer.is_global_zero)
    evaluated = {}
    for name, path, scores in (("best", _best_of(folder), SCORES), ("last", folder / LAST, LAST_SCORES)):
        evaluated[name] = evaluate_checkpoint(trainer, learner, path, of_task)
        if trainer.is_global_zero:
            of_task.save(folder / scores, learner.results)
    described = of_task.described()
    return {
        "protocol": learner.protocol.name,
        "config": learner.config,
        "data": described,
        "cost": asdict(measure_cost(learner.backbone, (data.image_size[0], data.image_size[1]))),
        "training_images_per_second": None if speed is None else round(float(speed), 1),
        "best_chosen_on": _chosen_on(trainer, list(described["benchmarks"])),
        **evaluated,
    }


def _chosen_on(trainer: pl.Trainer, benchmarks: list[str]) -> list[str]:
    """Return the sets by which the best checkpoint was chosen."""
    for callback in trainer.checkpoint_callbacks:
        name = (callback.monitor or "").rpartition("/")[0] if isinstance(callback, BestCheckpoint) else None
        if name in benchmarks:
            return [name]
    return benchmarks


def _best_of(folder: Path) -> Path:
    if (folder / BEST).is_file() or not (folder / LAST).is_file():
        return folder / BEST
    log(f"no epoch ended with a verification, so that {LAST} counts as the best in {RESULTS}")
    return folder / LAST


def evaluate_checkpoint(trainer: pl.Trainer, learner: Learner, path: Path, of_task: TaskResults[Any]) -> dict[str, Any]:
    """Return the name of the checkpoint file, its epoch (from 0) and the summary of each set."""
    if not path.is_file():
        raise InputError(f"{path} was not written, because nothing was left to train {_limit(trainer)}: raise it")
    checkpoint = load_checkpoint(path)  # once: its epoch is that of its weights, whoever writes the file meanwhile
    load_weights(learner.backbone, checkpoint, path)
    trainer.validate(learner, datamodule=of_task.data, verbose=False)
    return {
        "checkpoint": path.name,
        "epoch": checkpoint["epoch"],
        "benchmarks": of_task.summaries(learner.results),
    }


def _limit(trainer: pl.Trainer) -> str:
    """Return the setting that ended the training."""
    timers = [callback for callback in getattr(trainer, "callbacks", []) if isinstance(callback, Timer)]
    if any(left <= 0 for timer in timers if (left := timer.time_remaining()) is not None):
        return "in trainer.max_time, which counts the time before a resume as well"
    key = "max_epochs" if trainer.max_steps == -1 else "max_steps"
    return f"up to trainer.{key}={getattr(trainer, key)}"
