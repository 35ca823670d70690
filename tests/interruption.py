"""Ways in which a run ends too early."""

import errno
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytorch_lightning as pl
import torch

from facerec.errors import InputError


class Crash(pl.Callback):
    """Ends the run at the given step, as any defect of a program would, or as Ctrl-C does."""

    def __init__(self, step: int, interrupt: bool = False) -> None:
        self.step, self.interrupt = step, interrupt

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            raise KeyboardInterrupt if self.interrupt else RuntimeError(f"crash at step {self.step}")


class Signal(pl.Callback):
    """Sends this process a signal, ``times`` times, the first time that the hook ``when`` is called at the step."""

    def __init__(self, step: int, number: int, when: str = "on_train_batch_start", times: int = 1) -> None:
        self.step, self.number, self.times = step, number, times
        setattr(self, when, self._send)

    def _send(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        while trainer.global_step == self.step and self.times:
            self.times -= 1
            os.kill(os.getpid(), self.number)


class KillOnce(pl.Callback):
    """Kills the process at the given step, as the system does, unless that has been done: ``marker`` is then a file."""

    def __init__(self, step: int, marker: str) -> None:
        self.step, self.marker = step, Path(marker)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Pause(pl.Callback):
    """Waits at the given step from when it has created the file ``marker`` until that is gone."""

    def __init__(self, step: int, marker: str) -> None:
        self.step, self.marker = step, Path(marker)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            self.marker.touch()
            while self.marker.exists():
                time.sleep(0.01)


class Refusal(pl.Callback):
    """Ends the run after its first step with an `InputError`, on the device of this ``rank`` or, by default, on all."""

    def __init__(self, rank: int | None = None) -> None:
        self.rank = rank

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.rank in (None, trainer.global_rank):
            raise InputError("an image cannot be read: copy it again")


# PyTorch's writer makes of a full disk what it can.
FULL_DISK = {
    "OSError": OSError(errno.ENOSPC, "No space left on device"),
    "RuntimeError": RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0\nframe #0"),
}


@contextmanager
def full_disk(after: int, error: Exception = FULL_DISK["OSError"], name: str = "") -> Iterator[None]:
    """Room for ``after`` checkpoints, of that ``name`` if one is given, and the beginning of one more."""
    save, saved = torch.save, []

    def save_while_there_is_room(content: Any, path: str | Path) -> None:
        counts = Path(path).name.endswith(name)
        if counts and len(saved) >= after:
            Path(path).write_bytes(b"PK\3\4 the beginning")
            raise error
        if counts:
            saved.append(path)
        save(content, path)

    with mock.patch.object(torch, "save", save_while_there_is_room):
        yield
