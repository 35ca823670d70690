"""Decoding of image files to pixels or to their size, the same for training and evaluation."""

import os
import signal
import warnings
from io import BytesIO
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from facerec.data.image_header import JPEG_START, PNG_START, image_format, stated_pixels
from facerec.errors import InputError

# Raise it when files are decoded or resized to different pixels than before, which invalidates caches.
VERSION = 1
DECODER = f"decoder {VERSION}, OpenCV {cv2.__version__}"  # part of the key of every cache

_MOST_PIXELS = 120_000_000  # the largest cameras have 102 million; decoded, that is a third of a gigabyte
_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"
_MOST_SCANS = 500  # of a JPEG; usual are up to 10, and each goes over all pixels
_MOST_PIXELS_IN_A_BYTE = 512  # of a JPEG, whose blocks of 64 pixels take a bit or more
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp"}
_PNG_END = b"IEND"


def use_one_thread() -> None:
    """Limit OpenCV to one thread in this process: workers decode in parallel, and more threads would only compete."""
    if cv2.getNumThreads() != 1:
        cv2.setNumThreads(1)


def loading_processes(number: int) -> dict[str, Any]:
    """Return options of PyTorch's loader for ``number`` workers that decode with one thread each."""
    if number:
        use_one_thread()  # a forked worker has none of OpenCV's threads, and would wait for them
    return {"num_workers": number, "worker_init_fn": _begin_worker}


def _begin_worker(_: int) -> None:
    """Use one thread, also in a spawned worker, and leave the group of the process that uses the images: a signal to
    that group is for that process alone, which decides when to end. It ends its workers by SIGTERM, and PyTorch's
    workers end by themselves when it is gone."""
    use_one_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a forked worker has the program's handler
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)


def decode_rgb(data: bytes, name: str, upright: bool = False) -> np.ndarray:
    """Decode JPEG, PNG or another format known to OpenCV to uint8 RGB ``(H, W, 3)``.

    Greyscale, 16-bit and CMYK files become 8-bit RGB. EXIF orientation is ignored, since aligned faces are already
    upright, unless ``upright`` requests the image as it is displayed. Raises `InputError` with the image's name if it
    is empty, cut off, not an image, or has more than 120 million pixels: a few bytes may state gigabytes. A file whose
    size cannot be told beforehand is not decoded.
    """
    if not data:
        raise InputError(f"image {name} is empty: fetch it again or take it off the list")
    pixels = stated_pixels(data)
    _refuse_huge(pixels, name)
    if _is_cut_off(data, pixels or 0):
        raise InputError(f"image {name} is cut off after {len(data)} bytes: fetch it again or take it off the list")
    image = _decoded(data, upright) if pixels is not None else None
    if image is None:
        kind = image_format(data[:32])
        found = f"it is a {kind} file that is damaged or not read here" if kind else "it is damaged or no image"
        raise InputError(f"image {name} cannot be decoded, {found}: make it a JPEG or PNG file or take it off the list")
    return image


def _decoded(data: bytes, upright: bool) -> np.ndarray | None:
    """Return the pixels, or None if the file is damaged."""
    if data.startswith(JPEG_START) and data.count(_JPEG_SCAN) > _MOST_SCANS:
        return None
    flags = cv2.IMREAD_COLOR_RGB | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # the header claims a size beyond OpenCV's limit
        return None


def _refuse_huge(pixels: int | None, name: str) -> None:
    if pixels is not None and pixels > _MOST_PIXELS:
        problem = f"has {pixels / 1e6:.0f} million pixels, and up to {_MOST_PIXELS / 1e6:.0f} million are decoded"
        raise InputError(f"image {name} {problem}: replace it by a smaller one or take it off the list")


def resize(image: np.ndarray, out: np.ndarray) -> None:
    """Resize uint8 ``(h, w, 3)`` to ``out``, ``(H, W, 3)``, by area when shrinking (no aliasing), else bilinearly."""
    height, width = out.shape[:2]
    if image.shape == out.shape:
        out[:] = image
    else:
        shrinks = image.shape[0] >= height and image.shape[1] >= width
        cv2.resize(image, (width, height), out, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


class Header(NamedTuple):
    """Format (JPEG, PNG, BMP or WEBP) and size of an image file."""

    format: str
    height: int
    width: int

    @property
    def suffix(self) -> str:
        return _SUFFIXES[self.format]


def read_header(data: bytes, name: str) -> Header:
    """Read format and size of an image file without decoding it.

    Raises `InputError` if it is not an image or has more pixels than `decode_rgb` takes.
    """
    _refuse_huge(stated_pixels(data), name)
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(BytesIO(data), formats=tuple(_SUFFIXES)) as image:
            return Header(str(image.format), image.height, image.width)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        problem = "is not a JPEG, PNG, BMP or WebP file"
        raise InputError(f"image {name} {problem}: fetch it again or take it off the list") from error


class OneSize:
    """Refuses the first image that differs in size from those before it, for readers that need images of one size.

    Args:
        remedy: the end of the error message.
    """

    def __init__(self, remedy: str) -> None:
        self._remedy, self._first = remedy, ""
        self.height, self.width = 0, 0

    def check(self, data: bytes, name: str) -> None:
        """Decode the image; raise `InputError` if it is damaged or has another size."""
        height, width = decode_rgb(data, name).shape[:2]
        if not self._first:
            self._first, self.height, self.width = name, height, width
        elif (height, width) != (self.height, self.width):
            sizes = f"{height}x{width} pixels and {self._first} {self.height}x{self.width}"
            raise InputError(f"image {name} has {sizes}: {self._remedy}")


def _is_cut_off(data: bytes, pixels: int) -> bool:
    # OpenCV 4 silently fills the missing part of a truncated file with grey, so the end marker is checked here. A
    # JPEG's must follow its last scan header: an embedded thumbnail has its own end marker, earlier.
    if data.startswith(JPEG_START):
        has_no_end = data.rfind(_JPEG_END) < max(data.rfind(_JPEG_SCAN), 2)
        return has_no_end or pixels > _MOST_PIXELS_IN_A_BYTE * len(data)
    return data.startswith(PNG_START) and not _png_reaches_its_end(data)


def _png_reaches_its_end(data: bytes) -> bool:
    # A chunk is length, kind, content, checksum. OpenCV would allocate up to 4 GB for a damaged length.
    start = len(PNG_START)
    while start + 12 <= len(data):
        length, kind = int.from_bytes(data[start : start + 4]), data[start + 4 : start + 8]
        start += 12 + length
        if kind == _PNG_END:
            return True
    return False
