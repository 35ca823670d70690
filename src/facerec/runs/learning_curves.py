"""The curves of a training run, from its metrics.csv."""

import csv
from math import isfinite
from pathlib import Path

import numpy as np

from facerec.errors import InputError


def learning_curves(folder: Path) -> dict[str, np.ndarray]:
    """Return per metric the points ``(N, 2)`` of epoch, from 1, and value; empty cells and those that are not finite
    give none.

    Raises `InputError` if the file is missing or damaged.
    """
    path = folder / "metrics.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        return {name: _points(rows, name) for name in (rows[0] if rows else ())}
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}): its curves need the run again") from error


def _points(rows: list[dict[str, str]], name: str) -> np.ndarray:
    points = [(int(row["epoch"]) + 1, float(row[name])) for row in rows if row[name]]
    return np.array([point for point in points if isfinite(point[1])], np.float64).reshape(-1, 2)
