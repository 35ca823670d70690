"""How many pipes and blocks of shared memory a process has opened."""

import os
from pathlib import Path

import pytorch_lightning as pl

OPENED = Path("/proc/self/fd")


class OpenDescriptors(pl.Callback):
    """Adds their number to the file ``path``, a line an epoch."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        names = [os.readlink(path) for path in OPENED.iterdir() if os.path.lexists(path)]
        opened = sum(name.startswith(("pipe:", "/dev/shm")) for name in names)  # and no fonts
        with self.path.open("a") as file:
            file.write(f"{opened}\n")
