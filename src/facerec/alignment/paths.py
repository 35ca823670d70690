"""Paths of the images to align and of the aligned faces."""

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from facerec.data.readers.listing import is_service
from facerec.errors import InputError

SHEET = "contact_sheet.png"  # in the folder of the faces
# HEIC cannot be decoded; it is listed so that such photos are reported as failures.
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".avif", ".heic", ".heif"}


def find_images(root: Path, apart_from: Path) -> list[str]:
    """Find the images in ``root``; returns sorted relative paths with forward slashes.

    Links are followed. A folder that can be reached in several ways is read once, by its own name if that is in
    ``root``. Hidden files and folders are left out, and so is the folder ``apart_from``. Raises `InputError` if
    ``root`` is not a folder.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: give a folder of images")
    seen = {os.path.realpath(apart_from)}
    paths: list[str] = []
    own, linked = [str(root)], []
    while own or linked:
        folder = own.pop() if own else linked.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        for entry in _entries(folder):
            if os.path.isdir(entry.path):  # entry.is_dir() would raise for a link to itself
                (linked if entry.is_symlink() else own).append(entry.path)
            elif os.path.splitext(entry.name)[1].lower() in _SUFFIXES:
                paths.append(PurePosixPath(os.path.relpath(entry.path, root)).as_posix())
    return sorted(paths)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not is_service(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"folder {folder} cannot be read ({error.strerror}): give yourself access to it") from error


def why_not_found(root: Path, path: str) -> str:
    """Explain in one sentence why `find_images` does not find the listed image ``path`` in ``root``."""
    suffix = PurePosixPath(path).suffix
    if not os.path.isfile(root / path):
        return f"the image is listed and not below {root}: restore it or take it off the list"
    if suffix.lower() not in _SUFFIXES:
        return f"the image is listed and of a kind that is not read ({suffix or 'no suffix'}): make it a PNG"
    return (
        f"the image is listed, but hidden, in the folder of faces or not below {root}: move it or take it off the list"
    )


def outputs(paths: Iterable[str], suffix: str) -> dict[str, str]:
    """Map each image to the relative path of its aligned face.

    Raises `InputError` if two images would have the same one, or if a face would overwrite the contact sheet.
    """
    sources: dict[str, str] = {}
    for path in paths:
        output = str(PurePosixPath(path).with_suffix(suffix))
        if output == SHEET:
            raise InputError(
                f"the face of {path} would become {SHEET}, the name of the contact sheet: rename the image"
            )
        if output in sources:
            raise InputError(
                f"{sources[output]} and {path} would both become {output}: rename one of them or move it away"
            )
        sources[output] = path
    return {path: output for output, path in sources.items()}


def refuse_overlap(source: Path, output: Path) -> None:
    """Raise `InputError` if ``output`` is the folder of the images or one of its parents."""
    inside = os.path.realpath(source)
    if inside == os.path.realpath(output) or Path(os.path.realpath(output)) in Path(inside).parents:
        raise InputError(f"aligned faces in {output} could overwrite the images in {source}: give another folder")
