"""From a photograph to its faces, and to the image of one face that a network takes."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from facerec.alignment.detector import DetectedFace
from facerec.alignment.placement import place_points, template
from facerec.alignment.warp import warp
from facerec.data.decode import decode_rgb, resize
from facerec.data.image_header import image_format
from facerec.data.readers.folders import read_image_file
from facerec.errors import InputError

_MOVING = ("GIF", "WebP")
_START = 32  # bytes by which a format is known
_NO_HEIC = "save it as JPEG, which an iPhone does from the start with Settings, Camera, Formats, Most Compatible"


class Detector(Protocol):
    """Finds faces. An implementation can be pickled and used in workers."""

    def detect(self, image: np.ndarray) -> Sequence[DetectedFace]:
        """Return the faces in ``image``, uint8 RGB ``(H, W, 3)``, the largest first."""
        ...


@dataclass(frozen=True, eq=False)
class Photograph:
    """An image with the faces that were found in it.

    Attributes:
        name: its path.
        image: uint8 RGB ``(H, W, 3)``, as it is displayed.
        faces: the largest first; they are numbered from 1.
    """

    name: str
    image: np.ndarray
    faces: Sequence[DetectedFace]

    def face(self, number: int = 1) -> DetectedFace:
        """Return the face ``number``; raise `InputError` if there is none."""
        if not self.faces:
            raise InputError(
                f"no face was found in {self.name}: take a photograph that shows one larger and upright, or lower "
                "min_score="
            )
        if not 1 <= number <= len(self.faces):
            found = "1 face" if len(self.faces) == 1 else f"{len(self.faces)} faces, numbered from the largest"
            raise InputError(f"{self.name} shows {found}: there is no face={number}, choose 1 to {len(self.faces)}")
        return self.faces[number - 1]


class FaceFinder:
    """Finds faces in photographs and aligns them.

    Args:
        detector: finds the faces; None if every image is an aligned face, as those of ``facerec align_faces``.
        image_size: (height, width) of an aligned face.
    """

    def __init__(self, detector: Detector | None, image_size: tuple[int, int]) -> None:
        self.detector, self.image_size = detector, image_size

    def look(self, photo: Path | str | bytes | np.ndarray, name: str = "the photograph") -> Photograph:
        """Return the photograph with its faces.

        Args:
            photo: file, or the bytes of one, or uint8 RGB image ``(H, W, 3)``; the latter two have the ``name``.
            name: what errors call an image that is no file.

        Raises:
            InputError: the file cannot be read, or is of a kind that is not read; no face is no error here.
        """
        if isinstance(photo, Path | str):
            name, image = str(photo), read_photograph(Path(photo))
        else:
            image = decode_photograph(photo, name) if isinstance(photo, bytes) else photo
        return Photograph(name, image, [_whole(image)] if self.detector is None else self.detector.detect(image))

    def align(self, photograph: Photograph, number: int = 1) -> np.ndarray:
        """Return face ``number`` as the network takes it, uint8 ``(*image_size, 3)``; `InputError` if it is none."""
        face, aligned = photograph.face(number), np.empty((*self.image_size, 3), np.uint8)
        if self.detector is None:
            resize(photograph.image, aligned)
            return aligned
        side = max(self.image_size)
        try:
            matrix = place_points(face.points, photograph.image, side).matrix
        except InputError as error:
            raise InputError(f"face {number} of {photograph.name} cannot be aligned, since {error}") from error
        resize(warp(photograph.image, matrix, side), aligned)
        return aligned


def _whole(image: np.ndarray) -> DetectedFace:
    """Return the face of an image that is an aligned face."""
    height, width = image.shape[:2]
    return DetectedFace((0, 0, width, height), (template(112) + 0.5) * [width / 112, height / 112] - 0.5, 1)


def read_photograph(path: Path) -> np.ndarray:
    """Return a photograph as it is displayed, uint8 RGB ``(H, W, 3)``, whatever its EXIF orientation and colours.

    Raises `InputError` for what is no still image, for HEIC, and for more than 120 million pixels.
    """
    try:
        data = read_image_file(path)
    except OSError as error:
        raise InputError(f"photograph {path} cannot be read ({error.strerror or error}): check the path") from error
    return decode_photograph(data, str(path))


def decode_photograph(data: bytes, name: str) -> np.ndarray:
    """Return the photograph in the bytes of its file, as `read_photograph` does."""
    kind = image_format(data[:_START])
    if kind == "HEIC":
        raise InputError(f"photograph {name} is a HEIC file, which is not read here: {_NO_HEIC}")
    if kind in _MOVING and (frames := _frames(data)) > 1:
        raise InputError(f"photograph {name} moves, with {frames} frames: save the one that you mean as a PNG file")
    return decode_rgb(data, name, upright=True)


def _frames(data: bytes) -> int:
    """Return the number of frames; 1 for a file that is damaged, which decoding will tell."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(BytesIO(data)) as image:
            return getattr(image, "n_frames", 1)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return 1
