"""Faces of earlier runs that no longer belong in the folder of aligned faces, where training would use them."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tqdm import tqdm

from facerec.alignment.outputs import SUFFIXES, read_origin
from facerec.errors import InputError


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
