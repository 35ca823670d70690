"""Alignment of a folder of images into a folder of aligned faces, in several processes."""

import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from facerec.alignment import warp
from facerec.alignment.outputs import NameTooLong, Origin, read_origin, write_aligned
from facerec.alignment.placement import FacePlacer, Placement
from facerec.data import decode
from facerec.data.readers.folders import read_image_file
from facerec.data.source import digest
from facerec.errors import InputError

# Raise it when a face is warped or written differently than before: faces of earlier runs are then made again.
VERSION = 1
_CHUNK = 8  # images per message between processes


@dataclass(frozen=True)
class Settings:
    """How faces are aligned.

    Attributes:
        size: side of the result in pixels.
        border: a key of `warp.BORDERS`, for pixels outside the image.
        upright: whether an image is first rotated according to its EXIF orientation.
        again: whether existing faces are made again.
    """

    size: int = 112
    border: str = "constant"
    upright: bool = True
    again: bool = False


class Outcome(NamedTuple):
    """The result for one image. ``reason`` says why there is no face; it is empty if there is one."""

    path: str
    reason: str = ""
    is_new: bool = False
    residual: float | None = None
    is_mirrored: bool = False


class Alignment(Dataset[Outcome]):
    """A data set whose item i aligns the i-th image and returns its `Outcome`.

    Args:
        source: folder of the images.
        target: folder of the faces.
        outputs: maps each image's relative path to that of its face.
        placer: finds the face.
        settings: all other settings.
    """

    def __init__(
        self, source: Path, target: Path, outputs: dict[str, str], placer: FacePlacer, settings: Settings
    ) -> None:
        self.source, self.target, self.placer, self.settings = source, target, placer, settings
        self.outputs = list(outputs.items())
        self.images = folder_digest(source)

    def __len__(self) -> int:
        return len(self.outputs)

    def __getitem__(self, index: int) -> Outcome:
        path, output = self.outputs[index]
        try:
            key = self._key(path)
            made = None if self.settings.again else read_origin(self.target / output)
            if made is not None and made.key == key:
                return Outcome(path, residual=made.residual, is_mirrored=made.is_mirrored)
            face, placement = self._align(path)
        except InputError as error:
            return Outcome(path, reason=str(error))
        try:
            write_aligned(self.target / output, face, _origin(key, placement, self.images))
        except NameTooLong as error:
            return Outcome(path, reason=str(error))
        return Outcome(path, "", True, placement.residual, placement.is_mirrored)

    def _align(self, path: str) -> tuple[np.ndarray, Placement]:
        try:
            data = read_image_file(self.source / path)
        except OSError as error:
            raise _unreadable(error) from error
        image = decode.decode_rgb(data, path, self.settings.upright)
        placement = self.placer.place(path, image, self.settings.size)
        return warp.warp(image, placement.matrix, self.settings.size, self.settings.border), placement

    def _key(self, path: str) -> str:
        """Compute the digest of everything that determines the face of image ``path``."""
        try:
            found = (self.source / path).stat()
        except OSError as error:
            raise _unreadable(error) from error
        settings = f"{self.settings.size} {self.settings.border} {self.settings.upright}"
        program = f"alignment {VERSION}", decode.DECODER, f"{type(self.placer).__name__} {self.placer.version}"
        return digest([f"{found.st_size} {found.st_mtime_ns}", settings, self.placer.key(path), *program])


def align_all(alignment: Alignment, num_workers: int) -> Iterator[Outcome]:
    """Align in up to ``num_workers`` processes, with a progress bar on standard error; yields the outcomes in order.

    Raises `InputError` if a face cannot be written; the faces written before are kept.
    """
    useful = min(num_workers, math.ceil(len(alignment) / _CHUNK))
    # A single worker would be no faster than this process.
    processes = decode.loading_processes(useful if useful > 1 else 0)
    loader = DataLoader(alignment, batch_size=_CHUNK, collate_fn=list, **processes)
    with tqdm(total=len(alignment), desc="aligning", unit=" images", file=sys.stderr, mininterval=0.5) as progress:
        for outcomes in loader:
            yield from outcomes
            progress.update(len(outcomes))


def folder_digest(images: Path) -> str:
    """Return the digest that identifies a folder of images."""
    return digest([os.path.realpath(images)])


def _origin(key: str, placement: Placement, images: str) -> Origin:
    points = None
    if placement.points is not None:
        points = [None if np.isnan(x) else (round(x, 2), round(y, 2)) for x, y in placement.points.tolist()]
    return Origin(key, placement.residual, points, placement.is_mirrored, images)


def _unreadable(error: OSError) -> InputError:
    return InputError(f"the image cannot be read ({error.strerror or error}): restore it or give yourself access")
