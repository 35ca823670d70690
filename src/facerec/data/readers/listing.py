"""Listing of folders: image files, missing ones, and links that lead in circles."""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from facerec.data.image_header import image_format
from facerec.data.source import OnProblem, refuse, refusing_unreadable

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")  # compared in lower case
# Folders that systems put among images, in lower case: thumbnails, resource forks, deleted files.
_SERVICE = {"@eadir", "__macosx", "@recycle", "#recycle", "$recycle.bin", "recycler", "lost+found"}
_SERVICE |= {"system volume information", "network trash folder", "temporary items", "found.000", "lost.dir"}
_SERVICE |= {"#snapshot", "~snapshot", "@recently-snapshot", "@tmp", "@appstore", "@sharebin", "__pycache__"}
# What usually accompanies images; other files are looked into.
_NO_IMAGE = (".txt", ".csv", ".json", ".xml", ".yaml", ".md", ".html", ".npy", ".npz", ".mat", ".pts", ".db", ".ini")
_START = 32  # bytes by which an image is known
_MANY = 1_000_000  # files; of more, only a sample is checked
_SAMPLE = 10_000
_WORTH_LISTING = 8  # files in a folder, from which on listing it is faster than checking each


def is_service(name: str) -> bool:
    """Whether a file or folder belongs to a program or a system, not to the data: hidden ones, ``@eaDir``,
    ``__MACOSX``."""
    return name[0] == "." or name.lower() in _SERVICE


def image_paths(root: Path, folder: str, on_problem: OnProblem = refuse) -> list[str]:
    """Return the images in ``root/folder`` and its subfolders as paths relative to ``root``, sorted folder by folder.

    Links to folders are not followed, and what `is_service` is ignored. ``on_problem`` is called for an image without
    one of `IMAGE_SUFFIXES`. Raises `InputError` for a folder that may not be read.
    """
    paths, folders = [], [folder]
    while folders:
        here = folders.pop()
        for entry in entries_of(os.path.join(root, here)):
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{here}/{entry.name}")
            elif entry.is_symlink() and os.path.isdir(entry.path):
                continue
            elif entry.name.lower().endswith(IMAGE_SUFFIXES):
                paths.append(f"{here}/{entry.name}")
            elif kind := _format_of(entry):
                on_problem(folder, _unexpected(entry.path, kind))
    return sorted(paths, key=lambda path: path.split("/"))


def entries_of(folder: str | Path) -> list[os.DirEntry[str]]:
    """Return all that is in ``folder``, without what `is_service`; `InputError` if it may not be read."""
    with refusing_unreadable(f"folder {folder}", "allow reading it or remove it"), os.scandir(folder) as entries:
        return [entry for entry in entries if not is_service(entry.name)]


def _format_of(entry: os.DirEntry[str]) -> str:
    """Return the format of an image with an unexpected name; empty for other files and those that may not be read."""
    if entry.name.lower().endswith(_NO_IMAGE) or not os.path.isfile(entry.path):
        return ""
    try:
        with open(entry.path, "rb", buffering=0) as file:
            return image_format(file.read(_START))
    except OSError:
        return ""


def _unexpected(path: str, kind: str) -> str:
    suffixes = ", ".join(IMAGE_SUFFIXES)
    remedy = "rename it if it is one of these, else convert it to PNG or remove it"
    return (
        f"image {path} is a {kind} file that would be passed over, since its name ends in none of {suffixes}: {remedy}"
    )


def identity_folders(folder: Path, on_problem: OnProblem = refuse) -> list[str]:
    """Return the sorted names of the folders, or links to folders, in ``folder``, without what `is_service`.

    ``on_problem`` is called for a link that is broken or would have images read twice under two names, and for an image
    outside of these folders. Raises `InputError` if ``folder`` may not be read.
    """
    entries = entries_of(folder)
    found = [(entry.name, entry.is_symlink()) for entry in entries if entry.is_symlink() or entry.is_dir()]
    for entry in entries if found else ():
        if entry.name.lower().endswith(IMAGE_SUFFIXES) and os.path.isfile(entry.path):
            remedy = "move it into the folder of the person whom it shows, or remove it"
            on_problem(
                entry.name, f"image {entry.path} would be passed over, since it is in no identity folder: {remedy}"
            )
        elif kind := _format_of(entry):
            on_problem(entry.name, _unexpected(entry.path, kind))
    links = sorted(folder / name for name, is_link in found if is_link)
    for link in links:
        if not link.exists():
            on_problem(link.name, f"{link} is a broken link: restore its target or remove it")
    good = _leading_elsewhere([link for link in links if link.is_dir()], on_problem)
    return sorted(name for name, is_link in found if not is_link or name in good)


def _leading_elsewhere(links: Sequence[Path], on_problem: OnProblem) -> set[str]:
    """Return the names of those ``links`` whose images are not read under another name."""
    taken: dict[str, Path] = {}
    # Sorted by target, so parents come before their children.
    for target, link in sorted((os.path.realpath(link), link) for link in links):
        sentence = _read_twice(link, target, taken)
        if sentence:
            on_problem(link.name, sentence)
        else:
            taken[target] = link
    return {link.name for link in taken.values()}


def _read_twice(link: Path, target: str, taken: dict[str, Path]) -> str:
    """Return what is wrong with a ``link`` to ``target`` whose images are also read from the link's own folder or
    through one of the links in ``taken``; empty if nothing is."""
    whole = os.path.realpath(link.parent)
    if os.path.commonpath([whole, target]) in (whole, target):
        return f"identity folder {link} is a link to {target}, whose images would be read twice: remove it"
    for other in (target, *map(str, Path(target).parents)):
        if other in taken:
            both = f"{taken[other]} and {link}"
            return f"identity folders {both} are links to the same folder or into each other: remove one of them"
    return ""


def looked_for(number: int) -> range:
    """Return which of ``number`` paths are checked: all up to a million, else ten thousand, evenly spaced."""
    return range(0, number, 1 if number <= _MANY else number // _SAMPLE)


def missing_files(root: Path, paths: Sequence[str]) -> np.ndarray:
    """Return the ascending indices of `looked_for` ``paths`` in ``root`` without a file, with a progress bar."""
    folders: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for number in looked_for(len(paths)):
        path = paths[number]
        name = path.rpartition("/")[2]
        folders[path[: len(path) - len(name)]].append((number, name))
    missing: list[int] = []
    for folder, files in tqdm(folders.items(), f"looking for the images in {root}", unit=" folders", delay=2):
        here = os.path.join(root, folder)
        if len(files) >= _WORTH_LISTING:
            there = _names_of_files(here)
        else:
            there = {name for _, name in files if os.path.isfile(os.path.join(here, name))}
        missing += [number for number, name in files if name not in there]
    return np.sort(np.array(missing, np.int64))


def _names_of_files(folder: str) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            # For a link to itself, the entry's own method raises.
            return {e.name for e in entries if (os.path.isfile(e.path) if e.is_symlink() else e.is_file())}
    except OSError:  # no folder, no file
        return set()


def shortest_spelling(reference: str) -> str:
    """Return ``reference`` in its shortest spelling: ``./a/0.png``, ``a/./0.png`` and ``a//0.png`` are one image."""
    if "./" not in reference and "//" not in reference:
        return reference
    shortest = "/".join(part for part in reference.split("/") if part not in ("", "."))
    return f"/{shortest}" if reference[0] == "/" else shortest
