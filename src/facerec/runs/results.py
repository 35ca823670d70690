"""The results of a run: verification of its best and last checkpoint, fingerprints of the data, cost."""

import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pytorch_lightning as pl

from facerec.console import log
from facerec.cost import measure_cost
from facerec.data.datamodule import FaceDataModule
from facerec.errors import InputError
from facerec.files import BEST, LAST, RESULTS, SCORES, replacing
from facerec.training.checkpoints import BestCheckpoint, load_checkpoint
from facerec.training.recognizer import Recognizer
from facerec.verification.verify import VerificationResult


def run_results(trainer: pl.Trainer, recognizer: Recognizer, data: FaceDataModule, folder: Path) -> dict[str, Any]:
    """Verify both checkpoint files and return the fields of `RunResults` other than the provenance."""
    speed = trainer.callback_metrics.get("images_per_second")
    trainer.loggers = []  # no more points in the training curves
    best = verify_checkpoint(trainer, recognizer, data, _best_of(folder))
    if trainer.is_global_zero:
        save_scores(folder / SCORES, recognizer.results)
    image_size, benchmarks = (data.image_size[0], data.image_size[1]), benchmark_fingerprints(data)
    train = data.train_source
    assert train is not None
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
        "last": verify_checkpoint(trainer, recognizer, data, folder / LAST),
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


def verify_checkpoint(trainer: pl.Trainer, recognizer: Recognizer, data: FaceDataModule, path: Path) -> dict[str, Any]:
    """Return the name of the checkpoint file, its epoch (from 0) and the summary per benchmark."""
    if not path.is_file():
        key = "max_epochs" if trainer.max_steps == -1 else "max_steps"
        raise InputError(
            f"{path} was not written, because nothing was left to train up to trainer.{key}={getattr(trainer, key)}: "
            "raise it"
        )
    checkpoint = load_checkpoint(path)  # once: its epoch is that of its weights, whoever writes the file meanwhile
    recognizer.load_state_dict(checkpoint["state_dict"])
    trainer.validate(recognizer, datamodule=data, verbose=False)
    summaries = {name: result.summary() for name, result in recognizer.results.items()}
    return {"checkpoint": path.name, "epoch": checkpoint["epoch"], "benchmarks": summaries}


def save_scores(path: Path, results: dict[str, VerificationResult]) -> None:
    """Write an .npz file with ``NAME/scores`` and ``NAME/is_same`` of all pairs, and ``NAME/thresholds`` of all folds.

    If the protocol centres, ``NAME/centres`` ``(num_folds, D)`` is what it subtracts.
    """
    arrays: dict[str, Any] = {}
    for name, result in results.items():
        arrays |= {f"{name}/scores": result.scores.astype(np.float32), f"{name}/is_same": result.is_same}
        arrays |= {f"{name}/thresholds": result.thresholds}
        arrays |= {} if result.centres is None else {f"{name}/centres": result.centres}
    with replacing(path) as partial:
        np.savez_compressed(partial, **arrays)


def load_scores(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays that `save_scores` wrote; raise `InputError` if the file is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, NotImplementedError, BadZipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}): run it again") from error


def benchmark_fingerprints(data: FaceDataModule) -> dict[str, dict[str, Any]]:
    """Return number and fingerprint of the pairs per benchmark of ``data``, which is set up."""
    return {b.name: {"pairs": len(b), "fingerprint": b.fingerprint()} for b in data.opened_benchmarks}
