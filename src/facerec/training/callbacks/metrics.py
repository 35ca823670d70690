"""Metrics of a run as a CSV file with one row per epoch."""

import csv
from pathlib import Path

import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_only
from torch import Tensor

from facerec.errors import InputError
from facerec.files import replacing


class MetricsTable(pl.Callback):
    """Writes epoch (from 0), step and every metric that the epoch logged to the CSV file ``path`` after each epoch.

    A cell is empty where an epoch did not log the metric, as accuracies in an epoch that was not verified. A resumed
    run keeps the rows of earlier epochs. The file is replaced atomically.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._of_epoch_before: dict[str, Tensor] = {}

    @rank_zero_only
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raise `InputError` now, and not after an epoch, if the rows of earlier epochs cannot be read."""
        self._rows()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = dict(trainer.callback_metrics)  # on every device, since it may be a mean over all of them
        # Lightning keeps what earlier epochs logged, and what an epoch logs is a new tensor.
        new = {name: value for name, value in metrics.items() if value is not self._of_epoch_before.get(name)}
        self._of_epoch_before = metrics
        values = {name: f"{float(value):.6g}" for name, value in sorted(new.items())}
        self._add({"epoch": str(trainer.current_epoch), "step": str(trainer.global_step), **values})

    @rank_zero_only
    def _add(self, row: dict[str, str]) -> None:
        self._write([*(old for old in self._rows() if int(old["epoch"]) < int(row["epoch"])), row])

    def _rows(self) -> list[dict[str, str]]:
        if not self.path.is_file():
            return []
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file, strict=True))
            if all(row["epoch"].isdecimal() and None not in (*row, *row.values()) for row in rows):
                return rows
            raise ValueError("it has rows without an epoch or a value for each column")
        except (OSError, ValueError, KeyError, AttributeError, csv.Error) as error:
            raise InputError(
                f"{self.path} is damaged ({error}): repair it, or remove it, and the run goes on with a new one"
            ) from error

    def _write(self, rows: list[dict[str, str]]) -> None:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with replacing(self.path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
