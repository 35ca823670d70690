"""What each device of a run computes for itself."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl


class RankLosses(pl.Callback):
    """Writes the loss of each batch, one a line, to ``losses.RANK.txt`` in ``folder``."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        with (self.folder / f"losses.{trainer.global_rank}.txt").open("a") as file:
            file.write(f"{outputs['loss'].item()!r}\n")
