"""A folder in CFP's layout whose poses are easy to tell: frontal images have level stripes, profile ones upright."""

import csv
from pathlib import Path

import numpy as np
from image_files import write_image


def stripes(upright: bool, seed: int, side: int = 32) -> np.ndarray:
    """Eight-pixel stripes of two random greys, shifted at random: uint8 ``(side, side, 3)``."""
    rng = np.random.default_rng(seed)
    dark, light = rng.integers(60, 100), rng.integers(180, 240)
    line = np.where((np.arange(side) + rng.integers(16)) // 8 % 2 == 0, dark, light).astype(np.uint8)
    picture = np.broadcast_to(line if upright else line[:, None], (side, side))
    return np.repeat(picture[..., None], 3, axis=2)


def write_people(root: Path, identities: int = 8, images: int = 4) -> None:
    """``images`` of each pose; the profile ones have a black border on the left, the frontal ones on top."""
    for identity in range(identities):
        for number in range(images):
            for pose in ("frontal", "profile"):
                image = stripes(pose == "profile", identity * images + number).copy()
                image[(slice(4), slice(None)) if pose == "frontal" else (slice(None), slice(6))] = 0
                write_image(root / f"{identity:03}" / pose / f"{number}.png", image)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
