"""What a process holds after each epoch."""

import csv
import os
import threading
from pathlib import Path

import pytorch_lightning as pl

PROC = Path("/proc/self")


class HeldResources(pl.Callback):
    """Adds to the file ``path``, a line an epoch: memory in use in MB, and the numbers of descriptors and threads."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pages = int((PROC / "statm").read_text().split()[1])
        memory = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        with self.path.open("a") as file:
            csv.writer(file).writerow([memory, len(os.listdir(PROC / "fd")), threading.active_count()])


def read_held(path: Path) -> list[list[float]]:
    return [[float(value) for value in line] for line in csv.reader(path.read_text().splitlines())]
