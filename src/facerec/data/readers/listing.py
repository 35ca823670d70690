"""Listing of folders: image files, missing ones, and links that lead in circles."""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from facerec.data.source import OnProblem, refuse

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")  # compared in lower case
_MANY = 1_000_000  # files; of more, only a sample is checked
_SAMPLE = 10_000
_WORTH_LISTING = 8  # files in a folder, from which on listing it is faster than checking each


def image_paths(root: Path, folder: str) -> list[str]:
    """Return the images in ``root/folder`` and its subfolders as paths relative to ``root``, sorted folder by folder.

    Links to folders are not followed, and hidden files and folders, such as temporary ones, are ignored.
    """
    paths, folders = [], [folder]
    while folders:
        here = folders.pop()
        with os.scandir(os.path.join(root, here)) as entries:
            for entry in entries:
                if entry.name[0] == ".":
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{here}/{entry.name}")
                elif entry.is_symlink() and os.path.isdir(entry.path):
                    continue
                elif entry.name.lower().endswith(IMAGE_SUFFIXES):
                    paths.append(f"{here}/{entry.name}")
    return sorted(paths, key=lambda path: path.split("/"))


def identity_folders(folder: Path, on_problem: OnProblem = refuse) -> list[str]:
    """Return the sorted names of the folders, or links to folders, in ``folder``. ``on_problem`` is called for a link
    that is broken or would have images read twice under two names."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_symlink()) for entry in entries if entry.is_symlink() or entry.is_dir()]
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
