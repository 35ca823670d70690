"""The results of a run: verification of its best and last checkpoint, fingerprints of the data, cost."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Timer

from facerec.console import log
from facerec.cost import measure_cost
from facerec.data.datamodule import FaceDataModule
from facerec.data.shared_people import Shared, shared_with
from facerec.errors import InputError
from facerec.files import BEST, LAST, LAST_SCORES, RESULTS, SCORES
from facerec.runs.scores import save_scores
from facerec.runs.training_overlap import overlap
from facerec.training.checkpoints import BestCheckpoint, load_checkpoint
from facerec.training.recognizer import Recognizer


def run_results(trainer: pl.Trainer, recognizer: Recognizer, data: FaceDataModule, folder: Path) -> dict[str, Any]:
    """Verify both checkpoint files and return the fields of `RunResults` other than the provenance."""
    speed = trainer.callback_metrics.get("images_per_second")
    trainer.loggers = []  # no more points in the training curves
    train = data.train_source
    assert train is not None
    shared = shared_with(train, data.opened_benchmarks) if trainer.is_global_zero else {}
    best = verify_checkpoint(trainer, recognizer, data, _best_of(folder), shared)
    if trainer.is_global_zero:
        save_scores(folder / SCORES, recognizer.results, data.opened_benchmarks, shared)
    last = verify_checkpoint(trainer, recognizer, data, folder / LAST, shared)
    if trainer.is_global_zero:
        save_scores(folder / LAST_SCORES, recognizer.results, data.opened_benchmarks, shared)
    image_size, benchmarks = (data.image_size[0], data.image_size[1]), benchmark_fingerprints(data)
    return {
        "protocol": recognizer.protocol.name,
        "config": recognizer.config,
        "data": {
            "train": {"images": len(train), "identities": train.num_identities, "fingerprint": train.fingerprint()},
            "benchmarks": benchmarks,
        },
        "cost": asdict(measure_cost(recognizer.backbone, image_size)),
        "training_images_per_second": None if speed is None else round(float(speed), 1),
        "best_chosen_on": _chosen_on(trainer, list(benchmarks)),
        "best": best,
        "last": last,
    }


def _chosen_on(trainer: pl.Trainer, benchmarks: list[str]) -> list[str]:
    """Return the benchmarks of the accuracy by which the best checkpoint was chosen."""
    for callback in trainer.checkpoint_callbacks:
        name = (callback.monitor or "").removesuffix("/accuracy") if isinstance(callback, BestCheckpoint) else None
        if name in benchmarks:
            return [name]
    return benchmarks


def _best_of(folder: Path) -> Path:
    if (folder / BEST).is_file() or not (folder / LAST).is_file():
        return folder / BEST
    log(f"no epoch ended with a verification, so that {LAST} counts as the best in {RESULTS}")
    return folder / LAST


def verify_checkpoint(
    trainer: pl.Trainer, recognizer: Recognizer, data: FaceDataModule, path: Path, shared: Mapping[str, Shared]
) -> dict[str, Any]:
    """Return the name of the checkpoint file, its epoch (from 0) and the summary per benchmark, with what it shares
    with the training set."""
    if not path.is_file():
        raise InputError(f"{path} was not written, because nothing was left to train {_limit(trainer)}: raise it")
    checkpoint = load_checkpoint(path)  # once: its epoch is that of its weights, whoever writes the file meanwhile
    recognizer.load_state_dict(checkpoint["state_dict"])
    trainer.validate(recognizer, datamodule=data, verbose=False)
    summaries = {
        name: result.summary() | overlap(result, shared[name]) if name in shared else result.summary()
        for name, result in recognizer.results.items()
    }
    return {"checkpoint": path.name, "epoch": checkpoint["epoch"], "benchmarks": summaries}


def _limit(trainer: pl.Trainer) -> str:
    """Return the setting that ended the training."""
    timers = [callback for callback in getattr(trainer, "callbacks", []) if isinstance(callback, Timer)]
    if any(left <= 0 for timer in timers if (left := timer.time_remaining()) is not None):
        return "in trainer.max_time, which counts the time before a resume as well"
    key = "max_epochs" if trainer.max_steps == -1 else "max_steps"
    return f"up to trainer.{key}={getattr(trainer, key)}"


def benchmark_fingerprints(data: FaceDataModule) -> dict[str, dict[str, Any]]:
    """Return number and fingerprint of the pairs per benchmark of ``data``, which is set up."""
    return {b.name: {"pairs": len(b), "fingerprint": b.fingerprint()} for b in data.opened_benchmarks}
