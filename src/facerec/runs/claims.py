"""Which process trains which cell of a sweep, where several processes, on any machines, share one folder of runs.

A claim is a file that only one process can create. While it trains the cell, a thread of its own renews the file's
time. Ages are differences between times of files in that folder, which the file system gives: the machines' clocks are
not compared.
"""

import ctypes
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from facerec.files import is_alive

FOLDER = ".claims"
_MOST_TAKEOVERS = 3
_SILENT_AFTER = 3  # renewals that were missed


class ClaimLost(KeyboardInterrupt):
    """Another process trains the cell, since this one did not renew its claim in time."""


class Failure(NamedTuple):
    """Why a cell failed, on which ``host``; ``of_settings``: it would do so on any."""

    host: str
    why: str
    of_settings: bool


class Claims:
    """The claims of one process on the cells of a sweep.

    Args:
        stale: seconds after which a claim that was not renewed is nobody's.
    """

    def __init__(self, stale: float) -> None:
        self.stale, self.host = stale, socket.gethostname()
        self.renewed_every = min(30.0, stale / 20)
        self._begun: dict[Path, float] = {}

    @contextmanager
    def take(self, cell: Path) -> Iterator["str | None"]:
        """A block in which this process alone trains in the folder ``cell``; it gets None.

        If another process has the cell, the block gets who, and trains nothing. Raises `ClaimLost` in the block if this
        process was silent for so long that another one took the cell.
        """
        path, holder = self._created(cell)
        if path is None:
            yield holder
            return
        ended, lost = threading.Event(), threading.Event()
        renewing = threading.Thread(target=self._renew, args=(path, ended, lost, threading.get_ident()), daemon=True)
        renewing.start()
        try:
            yield None
        except (KeyboardInterrupt, SystemExit) as error:  # Lightning turns the former into the latter
            if lost.is_set():
                raise ClaimLost from error
            raise
        finally:
            ended.set()
            renewing.join()
            with suppress(OSError):
                path.unlink()

    def is_silent(self, cell: Path) -> bool:
        """Whether who has the cell may be dead: it is worth waiting for."""
        newest = self._newest(cell)
        return newest is not None and self._age(newest) > _SILENT_AFTER * self.renewed_every

    def failure(self, cell: Path) -> Failure | None:
        """Return why the cell failed since this process looks at it, if there is no use in trying it here again."""
        path = self._of(cell) / f"{cell.name}.failed"
        begun = self._begun.setdefault(path.parent, self._now(path.parent))
        try:
            failed_at, content = path.stat().st_mtime, json.loads(path.read_text(encoding="utf-8"))
            failure = Failure(str(content["host"]), str(content["why"]), bool(content["of_settings"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return failure if failed_at >= begun and (failure.of_settings or failure.host == self.host) else None

    def fail(self, cell: Path, why: str, of_settings: bool) -> None:
        """Tell the other processes that the cell failed here."""
        path = self._of(cell) / f"{cell.name}.failed"
        partial = path.with_name(f"{path.name}.{self.host}.{os.getpid()}")
        partial.write_text(json.dumps(Failure(self.host, why, of_settings)._asdict()), encoding="utf-8")
        os.replace(partial, path)

    def _of(self, cell: Path) -> Path:
        return cell.parent / FOLDER

    def _created(self, cell: Path) -> tuple[Path | None, str]:
        """Return the file that claims the cell, or None and who has it."""
        self._of(cell).mkdir(parents=True, exist_ok=True)
        newest = self._newest(cell)
        if newest is not None and not self._is_stale(newest):
            return None, _described(newest)
        number = 1 if newest is None else _number(newest) + 1
        if number > 1 + _MOST_TAKEOVERS:
            return None, f"{number - 1} processes that have died: remove {newest} to try it again"
        # A number for each time that the cell is taken over: of two that find it stale, one creates the next file.
        path = self._of(cell) / f"{cell.name}.{number}"
        try:
            with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), "w", encoding="utf-8") as file:
                json.dump({"host": self.host, "pid": os.getpid()}, file)
        except FileExistsError:
            return None, _described(path)
        if self._newest(cell) != path:  # while this process was asleep, others took it and gave it back
            path.unlink()
            return None, "others"
        return path, ""

    def _newest(self, cell: Path) -> Path | None:
        prefix = f"{cell.name}."
        found = [p for p in _listed(self._of(cell)) if p.name.startswith(prefix) and p.suffix[1:].isdecimal()]
        return max((p for p in found if p.stem == cell.name), key=_number, default=None)

    def _is_stale(self, path: Path) -> bool:
        age, holder = self._age(path), _content(path)
        is_dead_here = holder.get("host") == self.host and not is_alive(int(holder.get("pid", 0)))
        # Not at once: containers may share the host's name and not its processes.
        return age > (min(self.stale, _SILENT_AFTER * self.renewed_every) if is_dead_here else self.stale)

    def _age(self, path: Path) -> float:
        try:
            return self._now(path.parent) - path.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _now(self, folder: Path) -> float:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".now.{self.host}.{os.getpid()}.{threading.get_ident()}"
        probe.write_bytes(b".")
        now = probe.stat().st_mtime
        probe.unlink()
        return now

    def _renew(self, path: Path, ended: threading.Event, lost: threading.Event, trainer: int) -> None:
        following, renewed = path.with_name(f"{path.stem}.{_number(path) + 1}"), time.monotonic()
        while not ended.wait(self.renewed_every):
            with suppress(OSError):
                if following.exists() or not path.exists():
                    renewed = -self.stale
                else:
                    os.utime(path)
                    renewed = time.monotonic()
            if time.monotonic() - renewed > self.stale / 2:
                lost.set()
                # Also where signals are ignored, and while a signal would save a checkpoint first.
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(trainer), ctypes.py_object(ClaimLost))
                return


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _number(path: Path) -> int:
    return int(path.suffix[1:])


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # it is being written, or was given back
        content = None
    return content if isinstance(content, dict) else {}


def _described(path: Path) -> str:
    holder = _content(path)
    return f"process {holder.get('pid', 'unknown')} of {holder.get('host', 'an unknown machine')}"
