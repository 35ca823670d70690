"""The folder that a program is to write to."""

import os
from pathlib import Path

from facerec.errors import InputError


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
