"""Programs of the project in processes of their own, forked from one that has imported PyTorch: a start takes a tenth
of a second."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from facerec import process
from facerec.commands import main

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["facerec.commands.one_run", "facerec.commands.train_run", "torch.utils.tensorboard"])


class Program:
    """``facerec ARGUMENTS`` in ``folder``, in a session of its own.

    Args:
        first: what is called in the process before anything else; a function of a module, or `functools.partial` of it.
        streams: where the files lie that keep what it writes to its streams, by default in ``folder``.
    """

    def __init__(
        self, folder: Path, *arguments: str, first: Callable[[], Any] | None = None, streams: Path | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        place = folder if streams is None else streams
        number = len(list(place.glob("*.said")))
        self._said, self._printed = place / f"{number}.said", place / f"{number}.printed"
        streams = tuple(str(path) for path in (self._printed, self._said))
        for path in streams:
            Path(path).touch()
        self._process = CONTEXT.Process(target=_run, args=(str(folder), arguments, streams, first))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def said(self) -> str:
        """What the program has written to standard error."""
        return self._said.read_text(errors="replace")

    @property
    def printed(self) -> str:
        return self._printed.read_text(errors="replace")

    def status(self, timeout: float = 300) -> int:
        """Exit status, minus the signal's number where a signal has ended the process, after at most ``timeout`` s."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self.send(signal.SIGKILL, to_all=True)
            raise TimeoutError(f"not ended after {timeout} s: {self.said[-500:]}")
        return self._process.exitcode

    def ended(self, after: float) -> bool:
        """Whether it has ended within so many seconds."""
        self._process.join(after)
        return self._process.exitcode is not None

    def send(self, number: int, to_all: bool = False) -> None:
        """Send a signal to the process, or to its session."""
        with suppress(ProcessLookupError):  # it has ended
            os.killpg(self.pid, number) if to_all else os.kill(self.pid, number)


def _run(folder: str, arguments: tuple[str, ...], streams: tuple[str, str], first: Callable[[], Any] | None) -> None:
    os.setsid()
    multiprocessing.set_start_method(None, force=True)  # of loading processes, as in any program
    for descriptor, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.update(HYDRA_MAIN_MODULE="__main__", OMP_NUM_THREADS="1")
    torch.set_num_threads(1)  # as in the tests' own process: sums of two threads have other bits
    sys.argv = ["facerec", *arguments[1:]] if arguments[0] == "train" else ["facerec", *arguments]
    run = main.module_of("train").program if arguments[0] == "train" else main.main
    if first is not None:
        first()
    process.run(run)
