"""Files that are written whole or not at all, the folder they are in, and the names of those that a run leaves."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from facerec.errors import InputError

OUTPUTS = Path("outputs")
LAST, BEST, RESULTS, SCORES = "last.ckpt", "best.ckpt", "results.json", "scores.npz"


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


def refuse_missing_folder(root: str | Path) -> None:
    """`InputError` where ``root``, the folder of the data, does not exist."""
    if not Path(root).is_dir():
        raise InputError(f"folder {root} does not exist: set data.root to the folder that holds your faces")


def check_output_folder(folder: Path, setting: str) -> None:
    """Refuse now what could not be written after the work; nothing is made. `InputError` begins with ``setting``, such
    as ``out=found``, where ``folder`` is a file, or cannot be made or written to."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{setting} is a file: name a folder, or a new one")
    there = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    if not there.is_dir():
        raise InputError(f"{setting} cannot be made, since {there} is no folder: name another one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{setting} cannot be written to, since {there} is protected: name another folder")
