"""Files of aligned faces: a JPEG or PNG whose comment states what it was derived from.

A second run can therefore tell which faces are done without a separate list, which would be outdated after an
interruption.
"""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

from facerec.data.readers.folders import read_image_file
from facerec.data.source import digest
from facerec.errors import InputError

SUFFIXES = (".jpg", ".png")
_ENDS = {".jpg": b"\xff\xd9", ".png": b"IEND\xaeB`\x82"}
_QUALITY = 95
_MARK = "facerec alignment "


class NameTooLong(InputError):
    """The name of this face is longer than the file system allows."""


@dataclass(frozen=True)
class Origin:
    """The source and placement of an aligned face.

    Attributes:
        key: digest of the source, its landmarks and all settings.
        residual: see `Placement`.
        points: the landmarks in this image, five ``(x, y)`` to a hundredth of a pixel, None for hidden ones.
        is_mirrored: see `Placement`.
        images: digest of the folder of the images; empty in faces of older versions.
    """

    key: str
    residual: float | None = None
    points: list[tuple[float, float] | None] | None = None
    is_mirrored: bool = False
    images: str = ""


def write_aligned(path: Path, face: np.ndarray, origin: Origin) -> None:
    """Write uint8 RGB ``face`` in the format of ``path``'s suffix, whole or not at all.

    Raises `NameTooLong` if the file system refuses the name, `InputError` if writing fails otherwise.
    """
    data = _encoded(face, path.suffix, _MARK + json.dumps(asdict(origin)))
    # A leftover temporary file must not have an image suffix, and its name must not be longer than the face's, which
    # may be at the file system's limit.
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
    """Read the origin that `write_aligned` stored in the file ``path``; None if the file is missing, damaged or from
    another program."""
    try:
        data = read_image_file(path)
        if _MARK.encode() not in data or not data.endswith(_ENDS[path.suffix]):
            return None
        with Image.open(BytesIO(data), formats=("JPEG", "PNG")) as image:
            comment = image.info.get("comment", "")
        text = comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment)
        return Origin(**json.loads(text.removeprefix(_MARK))) if text.startswith(_MARK) else None
    except (OSError, SyntaxError, ValueError, TypeError, RecursionError, Image.DecompressionBombError):
        return None


class Leftovers(NamedTuple):
    """Relative paths of faces: ``removed`` ones, and those from ``other`` folders of images, which are kept."""

    removed: list[str]
    other: list[str]


def remove_leftovers(target: Path, outputs: set[str], made: set[str], images: str) -> Leftovers:
    """Remove from ``target`` the faces that `write_aligned` wrote and that are not in ``made``.

    Args:
        target: folder of the faces; links in it are not followed, and files of other programs are kept.
        outputs: relative paths of the faces of all images of this run, made or not. A face at such a path, with either
            suffix, is removed, wherever it came from.
        made: those of ``outputs`` for which there is a face.
        images: digest of the folder of images, as in `Origin`. All other faces are removed if they came from there.

    Raises:
        InputError: a face cannot be removed.
    """
    stems = {_stem(output) for output in outputs}
    left = Leftovers([], [])
    for path in tqdm(_faces(target), f"looking for faces of earlier runs in {target}", unit=" files", delay=2):
        origin = None if path in made else read_origin(target / path)
        if origin is None:
            continue
        if origin.images == images or _stem(path) in stems:
            _remove(target, path)
            left.removed.append(path)
        else:
            left.other.append(path)
    return left


def _faces(target: Path) -> Iterator[str]:
    for folder, _, names in os.walk(target):
        for name in names:
            if name.endswith(SUFFIXES):
                yield PurePosixPath(os.path.relpath(os.path.join(folder, name), target)).as_posix()


def _stem(path: str) -> str:
    return path.rpartition(".")[0]


def _remove(target: Path, path: str) -> None:
    """Remove the face, and the folders that are empty without it: an empty folder is not an identity."""
    try:
        (target / path).unlink()
    except OSError as error:
        raise InputError(
            f"{target / path} cannot be removed ({error.strerror}): remove it, its image is gone"
        ) from error
    for folder in list(PurePosixPath(path).parents)[:-1]:
        try:
            (target / folder).rmdir()
        except OSError:  # it is not empty
            return
