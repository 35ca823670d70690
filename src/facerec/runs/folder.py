"""A run's folder: where it is, and what state it is in."""

import hashlib
import shutil
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from facerec.console import log
from facerec.errors import InputError
from facerec.files import LAST, OUTPUTS, RESULTS

_NOTES = ".hydra"
_NOT_OF_A_CELL = ("name", "resume", "skip_finished")


def run_folder_for(name: str, resume: str | None, now: datetime) -> Path:
    """The folder of a single run: a new one named after the time, or the unfinished one that ``resume`` goes on in."""
    if resume == "auto":
        unfinished = [file.parent for file in (OUTPUTS / name).glob(f"*/{LAST}") if not is_finished(file.parent)]
        if unfinished:
            return max(unfinished, key=lambda folder: (folder / LAST).stat().st_mtime)
    elif resume is not None and Path(resume).name == LAST and not is_finished(Path(resume).parent):
        return Path(resume).parent
    # Down to milliseconds: runs that are started together must not share a folder.
    return OUTPUTS / name / f"{now:%Y-%m-%d_%H-%M-%S-%f}"[:-3]


def cell_folder(settings: Sequence[str], swept: Collection[str]) -> str:
    """The name of the folder of a sweep's cell: its ``settings`` of the ``swept`` keys, and a digest of all settings
    where there are others, or where a name cannot hold these."""
    counted = [s for s in settings if s.partition("=")[0] not in _NOT_OF_A_CELL]
    named = ",".join(s for s in counted if s.partition("=")[0] in swept)
    name = named.replace("/", "_")[:150]
    if name == ",".join(counted):
        return name
    return f"{name}-{hashlib.sha256(','.join(counted).encode()).hexdigest()[:8]}"


def is_finished(folder: Path) -> bool:
    """Whether the run in ``folder`` has its results."""
    return (folder / RESULTS).is_file()


def remove_empty_run(folder: Path) -> None:
    """Remove the ``folder`` of a run in ``outputs`` in which there is nothing but Hydra's notes, and the folders above
    it, ``outputs`` the last, that have nothing in them then."""
    outputs = OUTPUTS.absolute()
    if outputs not in folder.parents:
        return
    with suppress(OSError):  # what is not empty, or in use, stays
        if [path.name for path in folder.iterdir()] == [_NOTES]:
            shutil.rmtree(folder / _NOTES)
            for path in (folder, *folder.parents):
                path.rmdir()
                if path == outputs:
                    return


def checkpoint_to_resume(resume: str | None, folder: Path) -> Path | None:
    """The checkpoint that a run in ``folder`` goes on from, None for a fresh start.

    `InputError` when the checkpoint named is missing, or when starting afresh would write over what ``folder`` holds.
    """
    if is_finished(folder):
        raise InputError(f"{folder} holds a finished run: add skip_finished=true to keep it, or another name=")
    last = folder / LAST
    if resume == "auto":
        if not last.is_file():
            log(f"resume=auto: no unfinished run found, starting anew in {folder}")
        return last if last.is_file() else None
    if resume is None and last.is_file():
        raise InputError(f"{folder} holds an unfinished run: add resume=auto to go on with it, or another name=")
    if resume is not None and not Path(resume).is_file():
        raise InputError(f"checkpoint {resume} does not exist: give resume= a file, or auto")
    return None if resume is None else Path(resume)
