"""The processes that train one run on several devices end together, whichever of them ends first, and say why once.

While a process waits for the others in a collective operation, it runs no Python code and thus no handler of a signal.
A thread of its own therefore watches for signals and for the others, and ends the process if it does not end itself.
"""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from facerec.console import log
from facerec.handlers import is_connected
from facerec.process import is_first_process

FIRST = "FACEREC_FIRST_PROCESS"  # the number of the process that started this one
RANKS = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_LOOK = 0.25  # seconds between two looks at the other processes
_LOST = re.compile(r"gloo|nccl|tcpstore|socket|connection|process group|peer", re.IGNORECASE)
_SAID = (1, 2)  # exit statuses of processes that have said why they end


class Ended(NamedTuple):
    """Why a process must end: with which exit ``status``, and what is said; None if that has been said."""

    status: int
    why: str | None


class Companions:
    """The other processes of this one's run on several devices.

    Attributes:
        patience: seconds that the first process has to end by itself after SIGTERM or Ctrl-C.
        explain: makes the sentence of "" or of ", since REASON".
    """

    def __init__(self) -> None:
        self.patience = 8.0
        self.explain: Callable[[str], str] = "stopped{}".format
        self._started: Callable[[], Sequence[subprocess.Popen[bytes]]] = tuple
        self._parent: int | None = None
        self._thread: threading.Thread | None = None
        self._is_together = False
        self._has_spoken = False

    def begin(self, explain: Callable[[str], str]) -> None:
        """Begin a run, of which nothing has been said yet."""
        self.explain, self._has_spoken = explain, False

    def watch_parent(self) -> None:
        """Watch the process that started this one for another device of its run, or torchrun's, if there is one."""
        if FIRST in os.environ:
            self._parent = int(os.environ[FIRST])
        elif "TORCHELASTIC_RUN_ID" in os.environ:
            self._parent = os.getppid()
        self._is_together = self._parent is not None
        if self._is_together:
            self._watch()

    def watch(self, started: Callable[[], Sequence[subprocess.Popen[bytes]]]) -> None:
        """Watch the processes that this one has ``started``, so far and until `end`."""
        self._started, self._is_together = started, True
        self._watch()

    def end(self, patience: float) -> None:
        """End those that this one has started, if they do not end by themselves, and forget them.

        What they were told in the environment, and the connection to them, go too: the next run has its own.
        """
        processes, self._started, self._is_together = self._started(), tuple, False
        _wait(processes, patience)
        for process in processes:
            process.terminate()
        _wait(processes, patience)
        for process in processes:
            process.kill()
        if processes:
            _forget_ranks()

    def lost(self, error: BaseException, patience: float = 3.0) -> Ended | None:
        """Return why this process ends if ``error`` says that another one cannot be reached, and None otherwise."""
        if self._thread is None or not isinstance(error, RuntimeError) or not _LOST.search(str(error)):
            return None
        until = time.monotonic() + patience
        while (ended := self._of_others()) is None and time.monotonic() < until:
            time.sleep(_LOOK / 5)
        return ended or Ended(1, ", since the connection to the process of another device was lost")

    def say(self, why: str) -> None:
        """Say once why this run stops, unless another of its processes says so."""
        without_first = FIRST in os.environ and self._is_orphan()
        speaks = os.environ.get("LOCAL_RANK") == "1" if without_first else is_first_process()
        if speaks and not self._has_spoken:
            self._has_spoken = True
            log(self.explain(why))

    def _watch(self) -> None:
        if self._thread is not None or threading.current_thread() is not threading.main_thread():
            return
        theirs, ours = socket.socketpair()
        for end in (theirs, ours):
            end.setblocking(False)
        signal.set_wakeup_fd(ours.detach(), warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))  # signals to loading processes are theirs
        self._thread = threading.Thread(target=self._look, args=(theirs,), daemon=True, name="companions")
        self._thread.start()

    def _look(self, signals: socket.socket) -> None:
        while True:
            status, why, patience = self._cause(signals)
            time.sleep(patience)
            if self._is_together or self._parent is not None:  # and not in the next run of a sweep
                break
        if why is not None:
            self.say(why)
        for process in self._started():
            process.kill()
        os._exit(status)

    def _cause(self, signals: socket.socket) -> tuple[int, str | None, float]:
        """Wait until this process must end; return status, what is said, and how long it may take to end by itself."""
        while (ended := self._of_others()) is None:
            if select.select([signals], [], [], _LOOK)[0]:
                told = [number for number in signals.recv(64) if number in (signal.SIGTERM, signal.SIGINT)]
                if told and self._is_together:
                    # The others have no files to finish, and the first one waits for them.
                    return 128 + told[0], "", self.patience if is_first_process() else 2.0
        return ended.status, ended.why, self.patience if ended.why is None else 2.0

    def _is_orphan(self) -> bool:
        return self._parent is not None and os.getppid() != self._parent

    def _of_others(self) -> Ended | None:
        if self._is_orphan():
            killed = ", since torchrun has ended" if FIRST not in os.environ else _killed(0, signal.SIGKILL)
            return Ended(128 + signal.SIGKILL, killed)
        codes = [(number, process.poll()) for number, process in enumerate(self._started(), 1)]
        ended = [(number, code) for number, code in codes if code]
        by_signal = [(number, code) for number, code in ended if code not in _SAID]
        for number, code in by_signal or ended:
            if code in _SAID:
                return Ended(code, None)
            received = -code if code < 0 else code - 128
            asked = received in (signal.SIGTERM, signal.SIGINT)
            return Ended(128 + received, "" if asked else _killed(number, received))
        return None


def agreed(folder: Path) -> Path:
    """Return the ``folder`` of a run that its first process names, if torchrun has started several for it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("WORLD_SIZE") == "1":
        return folder
    from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage]

    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    key = f"facerec's folder, start {os.environ.get('TORCHELASTIC_RESTART_COUNT')}"
    if is_first_process():
        store.set(key, str(folder))
    return Path(store.get(key).decode())


def _wait(processes: Sequence[subprocess.Popen[bytes]], patience: float) -> None:
    until = time.monotonic() + patience
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until - time.monotonic()))


def _forget_ranks() -> None:
    for name in RANKS:
        os.environ.pop(name, None)
    if is_connected():
        sys.modules["torch.distributed"].destroy_process_group()


def _killed(device: int, received: int) -> str:
    name = signal.Signals(received).name if received in signal.valid_signals() else f"with status {received + 128}"
    memory = ", as it is when memory runs out" if received == signal.SIGKILL else ""
    return f", since the process of device {device} was ended by {name}{memory}"


COMPANIONS = Companions()  # of this process
