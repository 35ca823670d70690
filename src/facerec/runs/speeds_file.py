"""The file that keeps what was measured of trained networks: their speed and their peak memory."""

import json
from pathlib import Path
from typing import Any

from facerec.errors import InputError

SPEEDS = "paper_speed.json"  # beside a figure of the paper


def kept_speeds(path: Path) -> dict[str, Any]:
    """Return ``machine`` and, by the names of ``networks``, their speed and memory, or nothing if there is no file.

    Raises `InputError` if the file is damaged.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for speed in content["networks"].values():
            float(speed["images_per_second"] + speed["peak_memory_mb"])
        return content
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} is no file of measured speeds ({error}): remove it or give another out=") from error
