"""End every process of a distributed run on SIGTERM."""

import signal
from typing import Any

import pytorch_lightning as pl


class EndOnSigterm(pl.Callback):
    """Keeps the handler of SIGTERM that was set before the training, as ``facerec train`` does.

    Lightning's own handler broadcasts to the other processes from inside the signal, and waits forever if they wait for
    this one in another collective operation (Lightning 2.6). SIGTERM is how Slurm, systemd and Kubernetes stop a job.
    """

    def __init__(self) -> None:
        self._before: Any = signal.SIG_DFL

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._before = signal.getsignal(signal.SIGTERM)

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.on_train_start(trainer, pl_module)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not callable(self._before) or trainer.world_size == 1:
            return  # Lightning's handler neither waits nor has anybody to tell

        def end(*received: Any) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it may also come from the process that started this one
            for process in getattr(trainer.strategy.launcher, "procs", ()):  # those that this one has started
                process.terminate()
            self._before(*received)

        signal.signal(signal.SIGTERM, end)
