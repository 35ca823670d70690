"""Photos with landmarks, and what `facerec align_faces` makes of them."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import plain, write_image

from facerec.alignment.placement import POINTS, template
from facerec.commands.main import module_of

HEADER = ["path", *(f"{point}_{axis}" for point in POINTS for axis in "xy")]


def align_faces(*arguments: object) -> int:
    return module_of("align_faces").main([str(argument) for argument in arguments])


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def write_points(file: Path, points: dict[str, np.ndarray]) -> None:
    with file.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows([HEADER, *([path, *place.ravel().tolist()] for path, place in points.items())])


def failures(out: Path) -> dict[str, str]:
    with (out / "failures.csv").open(encoding="utf-8", newline="") as lines:
        return {row["path"]: row["reason"] for row in csv.DictReader(lines)}


def write_photos(folder: Path, number: int = 5) -> dict[str, np.ndarray]:
    """Photos of one colour each, and landmarks for them."""
    for index in range(number):
        write_image(folder / "ann é" / f"{index}.png", plain((25 * index, 99, 200), (160, 200)))
    return {f"ann é/{index}.png": template(112) + 20 for index in range(number)}
