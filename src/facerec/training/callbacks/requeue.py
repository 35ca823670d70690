"""Put a job of SLURM back in the queue before its time is up."""

import os
import signal
import subprocess
from typing import Any

import pytorch_lightning as pl

from facerec.console import log


class Requeue(pl.Callback):
    """At SIGUSR1, the first process has SLURM requeue the job, and ends as at SIGTERM.

    SLURM then ends the other processes, and starts the job again, which goes on from its last checkpoint. Without
    SLURM's command, or if it refuses, the run goes on as well.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        signal.signal(signal.SIGUSR1, _requeue if trainer.is_global_zero else _leave)


def _leave(*_: Any) -> None:
    """The first process decides; without a handler the signal would end this one."""


def _requeue(*_: Any) -> None:
    job = os.environ["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        log(f"job {job} cannot be requeued ({' '.join(said.split())}), and goes on until its time is up")
        return
    log(f"job {job} is requeued")
    signal.raise_signal(signal.SIGTERM)
