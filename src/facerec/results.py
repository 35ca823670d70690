"""What a run leaves as its result: the best and the last checkpoint verified, the data named, the cost counted."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

from facerec.checkpoints import load_checkpoint
from facerec.cost import measure_cost
from facerec.data.datamodule import FaceDataModule
from facerec.recognizer import Recognizer
from facerec.runs import BEST, LAST, SCORES
from facerec.verification import VerificationResult


def run_results(trainer: pl.Trainer, recognizer: Recognizer, data: FaceDataModule, folder: Path) -> dict[str, Any]:
    """Verify both checkpoints from the disk, so that the numbers are those of the files that stay."""
    speed = trainer.callback_metrics.get("images_per_second")
    best = verify_checkpoint(trainer, recognizer, data, folder / BEST)
    if trainer.is_global_zero:
        save_scores(folder / SCORES, recognizer.results)
    image_size = (data.image_size[0], data.image_size[1])
    return {
        "protocol": recognizer.protocol.name,
        "config": recognizer.config,
        "data": _fingerprints(data),
        "cost": asdict(measure_cost(recognizer.backbone, image_size)),
        "training_images_per_second": None if speed is None else round(float(speed), 1),
        "best": best,
        "last": verify_checkpoint(trainer, recognizer, data, folder / LAST),
    }


def verify_checkpoint(trainer: pl.Trainer, recognizer: Recognizer, data: FaceDataModule, path: Path) -> dict[str, Any]:
    """The checkpoint's epoch (from 0) and each benchmark's summary."""
    trainer.validate(recognizer, datamodule=data, ckpt_path=path, verbose=False, weights_only=True)
    summaries = {name: result.summary() for name, result in recognizer.results.items()}
    return {"checkpoint": path.name, "epoch": load_checkpoint(path)["epoch"], "benchmarks": summaries}


def save_scores(path: Path, results: dict[str, VerificationResult]) -> None:
    """Each pair's held-out distance and truth, ``NAME/scores`` and ``NAME/is_same``, to draw and to compare from."""
    arrays: dict[str, Any] = {}
    for name, result in results.items():
        arrays |= {f"{name}/scores": result.scores.astype(np.float32), f"{name}/is_same": result.is_same}
    np.savez_compressed(path, **arrays)


def _fingerprints(data: FaceDataModule) -> dict[str, Any]:
    train = data.train_source
    assert train is not None
    return {
        "train": {"images": len(train), "identities": train.num_identities, "fingerprint": train.fingerprint()},
        "benchmarks": {b.name: {"pairs": len(b), "fingerprint": b.fingerprint()} for b in data.opened_benchmarks},
    }
