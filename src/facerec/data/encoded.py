"""Images as files, byte for byte: what travels between archives and folders, so that nothing is encoded twice."""

import os
import warnings
from io import BytesIO
from typing import NamedTuple, Protocol, runtime_checkable

from PIL import Image

from facerec.data.decode import decode_rgb
from facerec.data.readers.folders import FolderImages
from facerec.data.source import ImageSource, LabelledSource
from facerec.errors import InputError

_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp"}


@runtime_checkable
class EncodedSource(ImageSource, Protocol):
    """Images that stand somewhere as files, which drawn ones do not."""

    def encoded(self, index: int) -> bytes:
        """The file of image ``index`` as it is; `InputError` when it cannot be read."""
        ...


class EncodedLabelledSource(EncodedSource, LabelledSource, Protocol):
    """A training set whose images stand somewhere as files."""


def full_name(source: EncodedSource, index: int) -> str:
    """The name of image ``index``, for a file of its own with all folders, so that a person finds it."""
    name = source.name(index)
    return os.path.join(source.root, name) if isinstance(source, FolderImages) else name


class Header(NamedTuple):
    """What the first bytes of an image file say of it: ``format`` is JPEG, PNG, BMP or WEBP."""

    format: str
    height: int
    width: int

    @property
    def suffix(self) -> str:
        return _SUFFIXES[self.format]


def read_header(data: bytes, name: str) -> Header:
    """Format and size of an image file without decoding it. `InputError` names the image when it is no image file."""
    try:
        # Pillow only warns of a size that no face has, which a damaged header may state.
        with warnings.catch_warnings(action="error"), Image.open(BytesIO(data), formats=tuple(_SUFFIXES)) as image:
            return Header(str(image.format), image.height, image.width)
    except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(
            f"image {name} is not a JPEG, PNG, BMP or WebP file: fetch it again or take it off the list"
        ) from error


class OneSize:
    """Refuses the first image whose size is not that of the images before it: readers of archives take one size.

    Args:
        remedy: the end of the sentence.
    """

    def __init__(self, remedy: str) -> None:
        self._remedy, self._first = remedy, ""
        self.height, self.width = 0, 0

    def check(self, data: bytes, name: str) -> None:
        """Decodes the image. `InputError` names both images, or one that is damaged."""
        height, width = decode_rgb(data, name).shape[:2]
        if not self._first:
            self._first, self.height, self.width = name, height, width
        elif (height, width) != (self.height, self.width):
            raise InputError(
                f"image {name} has {height}x{width} pixels and {self._first} {self.height}x{self.width}: {self._remedy}"
            )
