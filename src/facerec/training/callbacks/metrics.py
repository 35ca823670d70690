"""Metrics of a run as a CSV file with one row per epoch."""

import csv
from pathlib import Path

import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_only

from facerec.files import replacing


class MetricsTable(pl.Callback):
    """Writes epoch (from 0), step and every logged metric to the CSV file ``path`` after each epoch.

    A resumed run keeps the rows of earlier epochs. The file is replaced atomically.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    @rank_zero_only
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        values = {name: f"{float(value):.6g}" for name, value in sorted(trainer.callback_metrics.items())}
        row = {"epoch": str(trainer.current_epoch), "step": str(trainer.global_step), **values}
        self._write([*(old for old in self._rows() if int(old["epoch"]) < trainer.current_epoch), row])

    def _rows(self) -> list[dict[str, str]]:
        if not self.path.is_file():
            return []
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file))

    def _write(self, rows: list[dict[str, str]]) -> None:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with replacing(self.path) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
