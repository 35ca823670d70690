"""Finding the images of a benchmark's lists in the user's folder, and placing them in the benchmark's own."""

import os
import shutil
import unicodedata
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from facerec.data.readers.listing import IMAGE_SUFFIXES, entries_of
from facerec.errors import InputError

LINKS = ("hard", "symbolic", "copy")
_SHOWN = 3


def find_images(names: Collection[str], folder: str | Path) -> dict[str, str]:
    """Find all ``names`` like `find_those_there`; raise `InputError` with the number of missing images."""
    found = find_those_there(names, folder)
    missing = [name for name in dict.fromkeys(names) if name not in found]
    if missing:
        some = f"{len(missing)} of the {len(found) + len(missing)} images on the lists are not in {folder}"
        remedy = "restore them or name the folder that these paths start from"
        raise InputError(f"{some}, such as {', '.join(missing[:_SHOWN])}: {remedy}")
    return found


def find_those_there(names: Collection[str], folder: str | Path) -> dict[str, str]:
    """Map those of ``names`` that exist in ``folder`` to their relative paths.

    An image is at the listed path, or at that path with the suffix of another image format, which alignment may have
    changed. Raises `InputError` if ``folder`` does not exist, a path leads out of it, or two names are the same file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"image folder {folder} does not exist: name the folder that the lists' paths start from")
    contents: dict[str, dict[str, str]] = {}
    names = tqdm(dict.fromkeys(names), f"looking for images in {folder}", unit=" images", delay=2)
    paths = {name: _find(PurePosixPath(name), folder, contents) for name in names}
    found = {name: path for name, path in paths.items() if path is not None}
    _refuse_one_file_for_two(found, folder)
    return found


def place_images(paths: Iterable[str], source: Path, target: Path, link: str) -> int:
    """Put the images at ``paths`` in ``source`` at the same paths in ``target``; return how many were copied.

    Symbolic links to images are resolved. ``link`` is one of `LINKS`: ``hard`` copies if the file system cannot link,
    for instance between two disks; ``symbolic`` links break when ``source`` is moved; ``copy`` always copies.
    """
    copied = 0
    for path in tqdm(paths, f"filling {target.name}", unit=" images", delay=2):
        image, destination = os.path.realpath(source / path), target / path
        destination.parent.mkdir(parents=True, exist_ok=True)
        if link == "symbolic":
            destination.symlink_to(image)
        elif link == "copy" or not _linked(image, destination):
            shutil.copyfile(image, destination)
            copied += 1
    return copied


def _linked(image: str, destination: Path) -> bool:
    try:
        os.link(image, destination)
    except OSError:  # another disk, a file system without links, or another user's file
        return False
    return True


def _refuse_one_file_for_two(found: dict[str, str], folder: Path) -> None:
    """Refuse two names of one file: a pair of an image with itself is no test. Spellings of a path are one name."""
    first: dict[str, str] = {}
    for name, path in found.items():
        other = first.setdefault(path, name)
        if _key(str(PurePosixPath(other))) != _key(str(PurePosixPath(name))):
            both = f"the listed images {other} and {name} would both be {folder / path}"
            raise InputError(f"{both}: restore the one that is missing or take it off the list")


def _find(name: PurePosixPath, folder: Path, contents: dict[str, dict[str, str]]) -> str | None:
    if name.is_absolute() or ".." in name.parts:
        raise InputError(f"the listed path {name} leads out of {folder}: list paths that start from there")
    parent = str(name.parent)
    if parent not in contents:
        contents[parent] = _images_in(folder / parent)
    file = contents[parent].get(_key(name.name))
    if file is None and name.suffix.lower() in IMAGE_SUFFIXES:
        file = contents[parent].get(_key(name.stem))
    return file and (name.parent / file).as_posix()


def _images_in(folder: Path) -> dict[str, str]:
    """Map names, with and without suffix, to files; the alphabetically first file if several share a name."""
    if not folder.is_dir():
        return {}
    files = sorted(entry.name for entry in entries_of(folder) if os.path.isfile(entry.path))
    images = [file for file in files if PurePosixPath(file).suffix.lower() in IMAGE_SUFFIXES]
    by_stem = {_key(PurePosixPath(file).stem): file for file in reversed(images)}
    return by_stem | {_key(file): file for file in images}


def _key(name: str) -> str:
    """Normalise a name: some systems and archives write a letter and its accent as two characters."""
    return unicodedata.normalize("NFC", name)
