"""Writing of files whole or not at all, checks of files and output folders, and the names of a run's files."""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from facerec.errors import InputError

OUTPUTS = Path("outputs")
CACHE = OUTPUTS / "cache"
LAST, BEST, RESULTS = "last.ckpt", "best.ckpt", "results.json"
SCORES, LAST_SCORES = "scores.npz", "last_scores.npz"  # of the best and of the last epoch
AFFINITY_MAPS = "affinity_maps.npz"  # of each epoch, with callbacks=maps


_Path = TypeVar("_Path", str, str | None)


def in_home(path: _Path) -> _Path:
    """Return ``path`` with the home folder for a first ``~``, which a shell leaves as it is in ``KEY=~/faces``."""
    return os.path.expanduser(path) if isinstance(path, str) else path


def is_remote(root: str) -> bool:
    """Whether ``root`` is an address, such as ``s3://BUCKET/FOLDER`` of an object storage, and no folder."""
    return "://" in root


@contextmanager
def replacing(
    path: Path, remedy: str = "free space or choose another folder", unchanged_for: float = 0
) -> Iterator[Path]:
    """Yield a temporary file next to ``path`` to write to; it replaces ``path`` when the block ends without an error.

    A reader therefore never sees half a file, and a killed process leaves the old one. If the disk is full, the old
    file also stays, and an `InputError` with the ``remedy`` is raised. If ``path`` is a folder, the same error is
    raised before anything is written. What killed processes left is removed, by `remove_leftovers`.
    """
    partial = path.with_name(f".partial.{os.getpid()}.{path.name}")  # two processes may write the same file
    try:
        if path.exists() and not path.is_file():
            raise OSError("it exists and is not a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path, unchanged_for)
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}): {remedy}") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def remove_leftovers(path: Path, unchanged_for: float = 0) -> None:
    """Remove what killed processes left of files and folders ``path``, ``unchanged_for`` seconds ago or more.

    Whether a process of another machine is alive is not known: in a folder that machines share, give it time to write.
    """
    for leftover in path.parent.glob(".partial.*"):
        process = leftover.name.removeprefix(".partial.").removesuffix(f".{path.name}")
        if process.isdecimal() and not leftover.is_symlink() and not is_alive(int(process)):
            with suppress(OSError):
                if time.time() - leftover.stat().st_mtime < unchanged_for:
                    continue
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def is_alive(process: int) -> bool:
    """Return whether there is a process of this number on this machine, as far as can be seen from here."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it belongs to another user
        return True
    return True


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as JSON, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def csv_cell(value: Any) -> str:
    """Return ``value`` as the text of a CSV cell: one that a spreadsheet would run as a formula begins with ``'``."""
    text = str(value)
    try:
        float(text)
    except ValueError:
        return f"'{text}" if text[:1] in tuple("=+-@\t\r") else text
    return text


def markdown_cell(text: str) -> str:
    """Return ``text`` for a cell of a Markdown table, in which it looks as it is."""
    return re.sub(r"([\\|<*`])", r"\\\1", text).replace("\n", "<br>")


def check_zip(path: str | Path, compressed: bool = False) -> None:
    """Raise `BadZipFile` if a record of the zip file ``path`` differs from its check sum, which PyTorch ignores.

    PyTorch compresses programs only. Unless ``compressed`` is true, compressed records are refused too, so that nothing
    in the file is larger than the file.
    """
    with ZipFile(path) as file:
        records = file.infolist()
        if not compressed and any(record.compress_type != ZIP_STORED for record in records):
            raise BadZipFile("a record is compressed")
        if not compressed and sum(record.file_size for record in records) > Path(path).stat().st_size:
            raise BadZipFile("the records are larger than the file")
        if damaged := file.testzip():
            raise BadZipFile(f"record {damaged} differs from its check sum")


def refuse_no_regular_file(path: str | Path) -> None:
    """Raise `InputError` if ``path`` is a folder, or a pipe or a device, which would be waited for."""
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder: name the file in it")
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{path} is a pipe or a device and not a regular file: give the file itself")


def refuse_missing_folder(root: str | Path) -> None:
    """Raise `InputError` if ``root``, the folder of the data, does not exist or is a file; ``~`` is the home folder."""
    folder = in_home(str(root))
    if os.path.isfile(folder):
        raise InputError(f"{folder} is a file, not a folder: set data.root to the folder that holds it")
    if not os.path.isdir(folder):
        raise InputError(f"folder {folder} does not exist: set data.root to the folder that holds your images")


def check_output_folder(folder: Path, setting: str) -> None:
    """Check before the work that ``folder`` can be written to, without creating it.

    Raises an `InputError` that begins with ``setting``, such as ``out=found``, if it is a file or cannot be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{setting} is a file: name a folder, or a new one")
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise InputError(f"{setting} cannot be created, since {existing} is not a folder: name another one")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{setting} cannot be written to, since {existing} is protected: name another folder")


def check_output_file(path: Path, setting: str) -> None:
    """Check before the work that the file ``path`` can be written to, without creating it.

    Raises an `InputError` that begins with ``setting``, such as ``roc=curves.png``.
    """
    if path.is_dir():
        raise InputError(f"{setting} is a folder: name a file, such as {path / 'result'}{path.suffix}")
    if path.exists() and not path.is_file():
        raise InputError(f"{setting} is no file that can be replaced: name another one")
    check_output_folder(path.parent, setting)
