"""The folder of a run: its name, its state, and the checkpoint to resume from."""

import hashlib
import os
import shutil
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from facerec.console import log
from facerec.errors import InputError
from facerec.files import LAST, OUTPUTS, RESULTS, in_home, refuse_no_regular_file
from facerec.process import is_first_process
from facerec.training.companions import agreed

_HYDRA = ".hydra"
NOT_OF_A_CELL = ("name", "resume", "skip_finished", "cells", "claim_stale")  # settings that change no result


def run_folder_for(name: str, resume: str | None, now: datetime) -> Path:
    """Return the folder of a single run: the unfinished one that ``resume`` continues, or a new one named by time.

    All processes of a run on several devices, which torchrun or SLURM has started, get the same.
    """
    return agreed(_run_folder_for(name, resume, now))


def _run_folder_for(name: str, resume: str | None, now: datetime) -> Path:
    if resume == "auto":
        unfinished = [file.parent for file in (OUTPUTS / name).glob(f"*/{LAST}") if not is_finished(file.parent)]
        if unfinished:
            return max(unfinished, key=lambda folder: (folder / LAST).stat().st_mtime)
    elif resume is not None and Path(resume).name == LAST and not is_finished(Path(in_home(resume)).parent):
        return Path(in_home(resume)).parent
    job, step = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_STEP_ID")
    if job and step and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive"):  # in which one starts several
        return OUTPUTS / name / f"slurm_{job}_{step}"
    # With milliseconds, because runs started together must not share a folder.
    return OUTPUTS / name / f"{now:%Y-%m-%d_%H-%M-%S-%f}"[:-3]


def cell_folder(settings: Sequence[str], swept: Collection[str]) -> str:
    """Return the folder name of a sweep's cell: its settings of the ``swept`` keys.

    A digest of all settings follows if there are others, or if a folder name cannot contain these.
    """
    counted = [s for s in settings if s.partition("=")[0] not in NOT_OF_A_CELL]
    named = ",".join(s for s in counted if s.partition("=")[0] in swept)
    name = named.replace("/", "_")[:150]
    if name == ",".join(counted):
        return name
    return f"{name}-{hashlib.sha256(','.join(counted).encode()).hexdigest()[:8]}"


def is_finished(folder: Path) -> bool:
    """Return whether the run in ``folder`` has written its results."""
    return (folder / RESULTS).is_file()


def remove_empty_run(folder: Path) -> None:
    """Remove a run's ``folder`` if it contains only Hydra's files, and its empty parents up to ``outputs``."""
    outputs = OUTPUTS.absolute()
    if outputs not in folder.parents:
        return
    with suppress(OSError):  # folders that are in use or not empty stay
        if [path.name for path in folder.iterdir()] == [_HYDRA]:
            shutil.rmtree(folder / _HYDRA)
            for path in (folder, *folder.parents):
                path.rmdir()
                if path == outputs:
                    return


def _further(folder: Path) -> str:
    """Return how to train the newest finished run beside ``folder`` further, if there is one; nothing for a sweep."""
    finished = sorted(file.parent for file in folder.parent.glob(f"????-??-??_*/{RESULTS}"))
    if not finished:
        return ""
    return f"; to train the finished {finished[-1]} further, give resume={finished[-1] / LAST} and more epochs"


def checkpoint_to_resume(resume: str | None, folder: Path) -> Path | None:
    """Return the checkpoint that a run in ``folder`` resumes from, or None to start from scratch.

    Raises `InputError` if the checkpoint does not exist, or if the run would overwrite another one in ``folder``.
    """
    if resume is None and os.environ.get("SLURM_RESTART_COUNT", "0") != "0":  # a job that was requeued goes on
        resume = "auto"
    if is_finished(folder):
        raise InputError(f"{folder} contains a finished run: add skip_finished=true to keep it, or another name=")
    last = folder / LAST
    refuse_no_regular_file(last)
    if resume == "auto":
        if not last.is_file() and is_first_process():
            log(f"resume=auto: no unfinished run found, starting a new one in {folder}{_further(folder)}")
        return last if last.is_file() else None
    if resume is None and last.is_file():
        raise InputError(f"{folder} contains an unfinished run: add resume=auto to continue it, or another name=")
    if resume is None:
        return None
    checkpoint = Path(in_home(resume))
    if resume:
        refuse_no_regular_file(checkpoint)
    if not checkpoint.is_file():
        raise InputError(f"checkpoint {resume or repr(resume)} does not exist: give resume= a file, or auto")
    return checkpoint
