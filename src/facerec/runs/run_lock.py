"""One process at a time in a run's folder."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from facerec.errors import InputError
from facerec.files import BEST, LAST, LAST_SCORES, RESULTS, SCORES, remove_leftovers
from facerec.process import is_first_process

_WRITTEN = ("config.yaml", "run.json", "metrics.csv", BEST, LAST, SCORES, LAST_SCORES, RESULTS)
# Loading processes of a killed run hold its lock until they notice that they are alone, every five seconds.
PATIENCE = 12.0


@contextmanager
def alone_in(folder: Path, otherwise: str = "give this run another name=") -> Iterator[None]:
    """A block in which no other process trains in the run's ``folder``; what killed processes left there is removed.

    Raises `InputError` if another process does: wait, or do ``otherwise``. The processes of one run on several devices
    enter together.
    """
    if not is_first_process():
        yield
        return
    lock = FileLock(folder / ".lock")
    with suppress(OSError, NotImplementedError):  # a file system without locks, or one that cannot be written to
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout as error:
            raise InputError(f"another process trains in {folder}: wait until it has ended, or {otherwise}") from error
    try:
        for name in _WRITTEN:
            remove_leftovers(folder / name)
        yield
    finally:
        # While it is locked: whoever waits for it then finds the name gone and locks a new file.
        with suppress(OSError):  # Windows cannot remove an open file
            Path(lock.lock_file).unlink()
        lock.release()
