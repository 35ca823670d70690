"""One process at a time in a run's folder, on all machines that share it."""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from facerec.console import log
from facerec.errors import InputError
from facerec.files import AFFINITY_MAPS, BEST, LAST, LAST_SCORES, RESULTS, SCORES, remove_leftovers
from facerec.process import is_first_process

_WRITTEN = ("config.yaml", "run.json", "metrics.csv", BEST, LAST, SCORES, LAST_SCORES, RESULTS, AFFINITY_MAPS)
BEAT = 10.0  # seconds from one sign of life to the next
PATIENCE = 60.0  # seconds after which a process of another machine that gives none is dead
_LENGTH = 512  # bytes of a claim, so that it is written over and never cut off


@contextmanager
def alone_in(folder: Path, otherwise: str = "give this run another name=") -> Iterator[None]:
    """A block in which no other process trains in the run's ``folder``; what killed processes left there is removed.

    The file ``.lock`` in it says who trains, and changes every `BEAT` seconds. It needs no locks of the file system,
    only that a file can be created once (as on NFS from version 3 on). A process of this machine that has ended is
    known to be dead, one of another machine when it has given no sign of life for `PATIENCE` seconds; should it wake
    up, it ends. Where no file can be created, nothing is kept out.

    Raises `InputError` if another process trains there: wait, or do ``otherwise``. The processes of one run on several
    devices enter together.
    """
    if not is_first_process():
        yield
        return
    claim = Claim(folder / ".lock")
    with suppress(OSError):
        claim.take(f"wait until it has ended, or {otherwise}")
    try:
        for name in _WRITTEN:
            remove_leftovers(folder / name)
        yield
    finally:
        claim.give_back()


class Claim:
    """This process's entry in the file ``path``."""

    def __init__(self, path: Path) -> None:
        self.path, self._beats, self._ended = path, 0, Event()
        self._owner = {"machine": _machine(), "process": os.getpid(), "started": _started(os.getpid())}
        self._owner["number"] = id(self)  # a process may try twice

    def take(self, remedy: str) -> None:
        """Create the file, in place of that of a dead process; raise `InputError` if its process is alive."""
        while not self._is_created():
            theirs = _read(self.path)
            if theirs is None:
                continue
            if _is_alive(self.path, theirs):
                whose = f"process {theirs.get('process')} on {_name(theirs)}"
                raise InputError(f"another process trains in {self.path.parent} ({whose}): {remedy}")
            aside = self.path.with_name(f".lock.{os.getpid()}")
            with suppress(FileNotFoundError):  # one of several that take over does it
                if _read(self.path) == theirs:
                    os.rename(self.path, aside)
                    aside.unlink()
        Thread(target=self._keep_beating, daemon=True).start()

    def give_back(self) -> None:
        self._ended.set()
        with suppress(OSError):
            if self._is_mine():
                self.path.unlink()

    def _is_created(self) -> bool:
        try:
            with open(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), "wb") as file:
                file.write(self._content())
        except FileExistsError:
            return False
        return True

    def _keep_beating(self) -> None:
        while not self._ended.wait(BEAT):
            with suppress(OSError):  # the server may come back
                self.beat()

    def beat(self) -> None:
        """Give a sign of life; end the process if another has taken over."""
        if self._is_mine() or self._is_created():
            self._beats += 1
            with self.path.open("r+b") as file:
                file.write(self._content())
            return
        self._ended.set()
        log(f"{self.path.parent} was taken over by another process, since this one gave no sign of life")
        os._exit(1)

    def _is_mine(self) -> bool:
        theirs = _read(self.path)
        return theirs is not None and self._owner.items() <= theirs.items()

    def _content(self) -> bytes:
        return json.dumps({**self._owner, "beats": self._beats}).ljust(_LENGTH).encode()


def _read(path: Path) -> dict[str, Any] | None:
    """Return what the file says; None without one, and nothing if that is not known."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_alive(path: Path, claim: dict[str, Any]) -> bool:
    process = claim.get("process")
    if claim.get("machine") == _machine() and isinstance(process, int):
        return _started(process) is not None and _started(process) == claim.get("started")
    log(f"looking for up to {PATIENCE:.0f} s whether the process on {_name(claim)} still trains in {path.parent}")
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(min(1.0, BEAT))
        if (now := _read(path)) != claim:
            return now is not None
    return False


def _name(claim: dict[str, Any]) -> str:
    return str(claim.get("machine", "an unknown machine")).split(" ")[0]


def _machine() -> str:
    """Return the machine's name, and where numbers of processes count: since its start, in its container."""
    places = ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid")
    with suppress(OSError):
        return " ".join([platform.node(), Path(places[0]).read_text().strip(), os.readlink(places[1])])
    return platform.node()


def _started(process: int) -> str | None:
    """Return when a process of this machine has started, "" if that is not known; None if there is none."""
    try:
        os.kill(process, 0)
        after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return None if after_name[0] == "Z" else after_name[19]
    except (ProcessLookupError, OverflowError):
        return None
    except (OSError, IndexError):  # it belongs to another user, or there is no /proc
        return ""
