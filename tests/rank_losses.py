"""What each device of a run computes for itself."""

import os
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch


class RankLosses(pl.Callback):
    """Writes the loss of each batch to a line of ``losses.RANK.txt`` in ``folder``, its process to ``RANK.pid``, and
    the weights before and after the first step to ``step.0.RANK.pt`` and ``step.1.RANK.pt``."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        (self.folder / f"{trainer.global_rank}.pid").write_text(str(os.getpid()))
        self._keep(trainer, pl_module)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        with (self.folder / f"losses.{trainer.global_rank}.txt").open("a") as file:
            file.write(f"{outputs['loss'].item()!r}\n")
        if trainer.global_step == 1:
            self._keep(trainer, pl_module)

    def _keep(self, trainer: pl.Trainer, pl_module: Any) -> None:
        torch.save(pl_module.state_dict(), self.folder / f"step.{trainer.global_step}.{trainer.global_rank}.pt")
