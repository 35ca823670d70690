"""The checkpoints in folders of runs."""

from collections.abc import Sequence
from pathlib import Path

from facerec.errors import InputError
from facerec.files import LAST


def found_checkpoints(folders: Sequence[Path]) -> list[Path]:
    """Return the given files, and the last checkpoint of every run in the given folders."""
    found = sorted({path for folder in folders for path in ([folder] if folder.is_file() else folder.rglob(LAST))})
    if not found:
        raise InputError(f"no {LAST} in {', '.join(map(str, folders))}: name a folder of runs, or a checkpoint")
    return found
