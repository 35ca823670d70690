"""Small folders of photographs with masks."""

from pathlib import Path

import cv2
import numpy as np
from image_files import write_image

SIDE = 20
DOFE_VALUES = np.array([255, 128, 0], np.uint8)  # of background, rim and cup


def small_mask(side: int = SIDE, shift: int = 0) -> np.ndarray:
    """A square disc with a square cup."""
    mask = np.zeros((side, side), np.uint8)
    mask[4:16, 3 + shift : 15 + shift], mask[7:12, 6 + shift : 12 + shift] = 1, 2
    return mask


def small_image(number: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (side, side, 3)).astype(np.uint8)


def write_mask(path: Path, mask: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, mask)[1].tobytes())


def write_domain(root: Path, domain: str, number: int, first: int = 0) -> None:
    """Images 00, 01 and so on; the disc of each is further right than that of the one before."""
    for index in range(number):
        write_image(root / domain / "image" / f"{index:02}.png", small_image(first + index))
        write_mask(root / domain / "mask" / f"{index:02}.png", small_mask(shift=index % 5))


def write_domains(root: Path) -> None:
    """Three domains of ten images."""
    for place, domain in enumerate(("east", "north", "west")):
        write_domain(root, domain, 10, 100 * place)


def write_dofe(root: Path, domains: tuple[int, ...] = (1, 2, 3, 4)) -> None:
    """DoFE's archive with two training images and a test image per domain, masks in colour as there."""
    for domain in domains:
        for split, names in {"train": ("a", "b"), "test": ("c",)}.items():
            rois = root / f"Domain{domain}" / split / "ROIs"
            for name in names:
                write_image(rois / "image" / f"{name}.png", small_image(domain))
                write_mask(rois / "mask" / f"{name}.png", cv2.merge([DOFE_VALUES[small_mask()]] * 3))
