"""An aligned face on disk: a JPEG or PNG that says in its comment what it was made of.

So a second run knows without a list of its own, which an interruption could leave behind the files, what is done.
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
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

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


class Leftovers(NamedTuple):
    """Paths below the folder of faces: those ``removed``, and those of ``other`` folders of images, which stay."""

    removed: list[str]
    other: list[str]


def remove_leftovers(target: Path, outputs: set[str], made: set[str], images: str) -> Leftovers:
    """Remove from ``target`` the faces that `write_aligned` wrote and that are none of ``made``.

    Args:
        target: the folder of faces; links in it are not followed, and what others put there stays.
        outputs: the relative paths of the faces of all images of this run, made or not. A face at such a path, whether
            of this suffix or the other, goes wherever it came from.
        made: those of ``outputs`` for which there is a face.
        images: the digest of the folder of images, as in `Origin`. Other faces go if they came from there.

    `InputError` where one cannot be removed.
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
    """Remove the face, and the folders that are empty without it: an identity without images is none."""
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
