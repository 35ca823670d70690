"""The images that a benchmark's lists name, found in a person's folder and put into the new one."""

import os
import shutil
import unicodedata
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from facerec.data.readers.listing import IMAGE_SUFFIXES
from facerec.errors import InputError

LINKS = ("hard", "symbolic", "copy")
_SHOWN = 3


def find_images(names: Collection[str], folder: str | Path) -> dict[str, str]:
    """As `find_those_there`, and all must be: `InputError` says how many are missing and names the first."""
    found = find_those_there(names, folder)
    missing = [name for name in dict.fromkeys(names) if name not in found]
    if missing:
        raise InputError(
            f"{len(missing)} of the {len(found) + len(missing)} images that are listed are not below {folder}, such as "
            f"{', '.join(missing[:_SHOWN])}: restore them or name the folder that these paths start from"
        )
    return found


def find_those_there(names: Collection[str], folder: str | Path) -> dict[str, str]:
    """Where ``names`` stand below ``folder``: at the path as listed, or at one with the suffix of another image format,
    as alignment may leave it. `InputError` for no folder, a path that leads out of it, and two names of one file."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"image folder {folder} does not exist: name the folder that the lists' paths start from")
    contents: dict[str, dict[str, str]] = {}
    names = tqdm(dict.fromkeys(names), f"looking for images in {folder}", unit=" images", delay=2)
    places = {name: _find(PurePosixPath(name), folder, contents) for name in names}
    found = {name: place for name, place in places.items() if place is not None}
    _refuse_one_file_for_two(found, folder)
    return found


def place_images(paths: Iterable[str], source: Path, target: Path, link: str) -> int:
    """Put the images at ``paths`` below ``source`` at the same paths below ``target``; return how many were copied.

    A symbolic link to an image stands for the image. ``link``: ``hard`` copies where the file system cannot link, as
    between two disks; ``symbolic`` breaks when ``source`` moves; ``copy`` always copies.
    """
    copied = 0
    for path in tqdm(paths, f"filling {target.name}", unit=" images", delay=2):
        image, place = os.path.realpath(source / path), target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if link == "symbolic":
            place.symlink_to(image)
        elif link == "copy" or not _linked(image, place):
            shutil.copyfile(image, place)
            copied += 1
    return copied


def _linked(image: str, place: Path) -> bool:
    try:
        os.link(image, place)
    except OSError:  # another disk, a file system without links, or another person's file
        return False
    return True


def _refuse_one_file_for_two(found: dict[str, str], folder: Path) -> None:
    """A pair of an image with itself is no test; another spelling of one path is no other image."""
    first: dict[str, str] = {}
    for name, place in found.items():
        other = first.setdefault(place, name)
        if _key(str(PurePosixPath(other))) != _key(str(PurePosixPath(name))):
            raise InputError(
                f"the listed images {other} and {name} would both be {folder / place}: restore the one that is missing "
                "or take it off the list"
            )


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
    """Files by their name and by their name without suffix; the first in the alphabet where several share one."""
    try:
        with os.scandir(folder) as entries:
            files = sorted(entry.name for entry in entries if entry.is_file())
    except OSError:
        return {}
    images = [file for file in files if file[0] != "." and PurePosixPath(file).suffix.lower() in IMAGE_SUFFIXES]
    by_stem = {_key(PurePosixPath(file).stem): file for file in reversed(images)}
    return by_stem | {_key(file): file for file in images}


def _key(name: str) -> str:
    """Some systems and archives write a letter and its accent as two characters."""
    return unicodedata.normalize("NFC", name)
