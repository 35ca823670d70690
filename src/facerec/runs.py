"""A run's folder: where it is, what state it is in, and what made it."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from facerec.errors import InputError

OUTPUTS = Path("outputs")
_NOTES = ".hydra"
_NOT_OF_A_CELL = ("name", "resume", "skip_finished")
LAST, BEST, RESULTS, SCORES = "last.ckpt", "best.ckpt", "results.json", "scores.npz"


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


def write_settings(folder: Path, cfg: DictConfig, made_by: dict[str, Any]) -> None:
    """What a person reads to know what the run in ``folder`` is, from before its first step."""
    with replacing(folder / "config.yaml") as partial:
        OmegaConf.save(cfg, partial, resolve=True)
    write_json(folder / "run.json", made_by)


def provenance(overrides: list[str], config: dict[str, Any]) -> dict[str, Any]:
    """What a person needs to make the run again: command, configuration, code, environment."""
    return {
        "started": datetime.now().isoformat(timespec="seconds"),
        "command": " ".join(["train.py", *overrides]),
        "config_fingerprint": hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16],
        **code_and_environment(),
    }


def code_and_environment() -> dict[str, Any]:
    """The commit of the code, and what it runs on."""
    return {
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "environment": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),  # a subclass of str, which is no plain value in a file of weights
            "platform": platform.platform(),
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu",
            "threads": torch.get_num_threads(),
        },
    }


def _git(*arguments: str) -> str | None:
    """What git says of the code that runs; None outside a checkout or without git."""
    try:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


@contextmanager
def replacing(path: Path, remedy: str = "free space or choose another folder") -> Iterator[Path]:
    """A file beside ``path`` to write to, which takes its place when all is written.

    So a reader never sees half a file, and a kill leaves the old one; a full disk does too, and is an `InputError` with
    the ``remedy``. So is a folder in its place, before anything is written.
    """
    partial = path.with_name(f".partial.{os.getpid()}.{path.name}")  # two processes may write the same file
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is there and is no file")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}): {remedy}") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes of this machine left of ``path`` in `replacing`, which may be large."""
    for leftover in path.parent.glob(".partial.*"):
        process = leftover.name.removeprefix(".partial.").removesuffix(f".{path.name}")
        if process.isdecimal() and leftover.is_file() and not _is_alive(int(process)):
            with suppress(OSError):
                leftover.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another person's
        return True
    return True


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def log(message: str) -> None:
    """One line to the person who waits."""
    print(message, file=sys.stderr, flush=True)
