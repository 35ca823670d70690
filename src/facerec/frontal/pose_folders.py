"""Frontal and profile images in the layout of CFP (Sengupta et al., WACV 2016): ``ID/frontal/NN.jpg`` and
``ID/profile/NN.jpg``."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from facerec.data.loading import in_workers
from facerec.data.readers.folders import FolderImages
from facerec.data.readers.listing import IMAGE_SUFFIXES, entries_of
from facerec.data.source import ALLOW, digest
from facerec.errors import InputError
from facerec.frontal.borders import covered

POSES = ("profile", "frontal")  # the index of a pose is its value of is_frontal


@dataclass(frozen=True)
class PoseImages:
    """Decoded images with their pose and identity.

    Attributes:
        pixels: uint8 RGB ``(N, S, S, 3)``, with covered borders.
        borders: bool ``(N, S, S)``, the border masks.
        is_frontal: bool ``(N,)``.
        identities: class labels, int64 ``(N,)``, from 0.
        names: paths relative to the folder.
    """

    pixels: np.ndarray
    borders: np.ndarray
    is_frontal: np.ndarray
    identities: np.ndarray
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)

    def fingerprint(self) -> str:
        """Return a short hexadecimal digest of the images' names."""
        return digest(self.names)


def read_pose_folders(root: str | Path, image_size: int, num_workers: int = 0) -> PoseImages:
    """Decode all images of ``root/ID/{frontal,profile}`` to ``image_size`` pixels, with a progress bar on standard
    error.

    Raises `InputError` for a folder that is missing or lacks images of a pose, and for an unreadable image.
    """
    root = Path(root)
    found = _find(root)
    is_frontal = np.array([pose == "frontal" for _, pose, _ in found])
    for value, pose in enumerate(POSES):
        if not (is_frontal == bool(value)).any():
            raise InputError(f"{root} has no image ID/{pose}/IMAGE: give the folder of CFP's identities")
    _, identities = np.unique([identity for identity, _, _ in found], return_inverse=True)
    paths = ["/".join(parts) for parts in found]
    pixels, borders = _decode(FolderImages(root, paths), image_size, num_workers)
    return PoseImages(pixels, borders, is_frontal, identities, paths)


def _find(root: Path) -> list[tuple[str, str, str]]:
    """Return (identity, pose, file name) of every image, sorted."""
    if not root.is_dir():
        problem = "is a file" if root.exists() else "does not exist"
        raise InputError(f"folder {root} {problem}: give the folder with CFP's identities")
    folders = [
        (identity, pose, root / identity / pose)
        for identity in sorted(entry.name for entry in entries_of(root) if os.path.isdir(entry.path))
        for pose in POSES
    ]
    return [
        (identity, pose, name)
        for identity, pose, folder in folders
        if _is_folder(folder)
        for name in sorted(entry.name for entry in entries_of(folder))
        if name.lower().endswith(IMAGE_SUFFIXES)
    ]


def _is_folder(folder: Path) -> bool:
    """Whether it is one; raises `InputError` if the folder around it may not be entered, in which case nobody knows."""
    try:
        return stat.S_ISDIR(os.stat(folder).st_mode)
    except PermissionError as error:
        raise InputError(f"folder {folder} cannot be read ({error.strerror}): {ALLOW}") from error
    except OSError:  # there is none
        return False


def _decode(source: FolderImages, size: int, num_workers: int) -> tuple[np.ndarray, np.ndarray]:
    load = partial(_load, source, size)  # runs in the workers
    decoded: list[tuple[np.ndarray, np.ndarray]] = []
    with tqdm(total=len(source), desc="decoding", unit=" images", leave=False) as bar:
        for batch in in_workers(load, range(len(source)), 256, num_workers):
            decoded += batch
            bar.update(len(batch))
    pixels, borders = zip(*decoded, strict=True)
    return np.stack(pixels), np.stack(borders)


def _load(source: FolderImages, size: int, indices: Sequence[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [covered(source.load(index), size) for index in indices]
