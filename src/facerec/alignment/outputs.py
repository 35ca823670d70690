"""An aligned face on disk: a JPEG or PNG that says in its comment what it was made of.

So a second run knows without a list of its own, which an interruption could leave behind the files, what is done.
"""

import errno
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from facerec.data.source import digest
from facerec.errors import InputError

SUFFIXES = (".jpg", ".png")
_ENDS = {".jpg": b"\xff\xd9", ".png": b"IEND\xaeB`\x82"}
_QUALITY = 95
_MARK = "facerec alignment "


class NameTooLong(InputError):
    """The disk takes no name as long as this face's."""


@dataclass(frozen=True)
class Origin:
    """What an aligned face was made of.

    Attributes:
        key: digest of the source, its landmarks and all settings.
        residual: as `Placement`'s.
        points: where the landmarks lie in this image, five ``(x, y)`` to a hundredth of a pixel, None for hidden ones.
        is_mirrored: as `Placement`'s.
        images: digest of the folder of the images; empty in faces of older versions.
    """

    key: str
    residual: float | None = None
    points: list[tuple[float, float] | None] | None = None
    is_mirrored: bool = False
    images: str = ""


def write_aligned(path: Path, face: np.ndarray, origin: Origin) -> None:
    """Write uint8 RGB ``face`` as the suffix of ``path`` says, whole or not at all. `InputError` where the disk refuses
    it, `NameTooLong` where only its name."""
    data = _encoded(face, path.suffix, _MARK + json.dumps(asdict(origin)))
    # What a kill leaves of it must not look like an image to those who read the folder; and its name must not be
    # longer than the face's, which may be as long as the disk allows.
    partial = path.with_name(f".{os.getpid()}.{digest([path.name])}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise NameTooLong("the name of its face is too long for the disk: rename the image") from error
        raise InputError(f"{path} cannot be written ({error.strerror}): free space or choose another folder") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def _encoded(face: np.ndarray, suffix: str, comment: str) -> bytes:
    data = BytesIO()
    if suffix == ".jpg":
        Image.fromarray(face).save(data, "JPEG", quality=_QUALITY, comment=comment)
    else:
        info = PngInfo()
        info.add_text("comment", comment)
        Image.fromarray(face).save(data, "PNG", pnginfo=info)
    return data.getvalue()


def read_origin(path: Path) -> Origin | None:
    """What `write_aligned` wrote into the file ``path``; None where there is none, or another's, or not all of it."""
    try:
        data = path.read_bytes()
        if _MARK.encode() not in data or not data.endswith(_ENDS[path.suffix]):
            return None
        with Image.open(BytesIO(data)) as image:
            comment = image.info.get("comment", "")
    except (OSError, UnidentifiedImageError):
        return None
    text = comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment)
    return Origin(**json.loads(text.removeprefix(_MARK))) if text.startswith(_MARK) else None
