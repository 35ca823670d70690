"""The table of contents of a large archive, kept for the next run."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from facerec.data.source import digest
from facerec.errors import InputError
from facerec.files import replacing

_WORTH_KEEPING = 2.0  # seconds of reading
_DAMAGED = (OSError, EOFError, ValueError, KeyError, BadZipFile)  # or missing: each is read anew


class Contents(NamedTuple):
    """Of all records the keys and the offsets, int64; of the images the numbers of their records, int64, and the
    classes as they are stored, float32."""

    keys: np.ndarray
    offsets: np.ndarray
    positions: np.ndarray
    classes: np.ndarray


def kept_contents(folder: Path | None, files: Sequence[Path], reader: str, read: Callable[[], Contents]) -> Contents:
    """What ``read`` returns; where that took more than two seconds, it is left in ``folder`` and read from there the
    next time, unless one of the ``files`` has another size or time, or the ``reader`` another version.

    Args:
        folder: made when it is missing; what cannot be written there is read anew each time. None: nothing is kept.
        files: that are read, those of them that exist.
        reader: name and version of the reader.
        read: the files.
    """
    if folder is None:
        return read()
    path = folder / f"contents-{digest([reader, *map(_state, files)])}.npz"
    with suppress(*_DAMAGED), path.open("rb") as file, np.load(file) as arrays:
        return Contents(*(arrays[name] for name in Contents._fields))
    start = time.perf_counter()
    contents = read()
    if time.perf_counter() - start > _WORTH_KEEPING:
        with suppress(InputError), replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, **contents._asdict())
    return contents


def _state(file: Path) -> str:
    if not file.is_file():
        return f"no {file.name}"
    found = file.stat()
    return f"{file.resolve()} {found.st_size} {found.st_mtime_ns}"
