"""What stands in folders: image files, those that are missing, and links that lead in circles."""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from facerec.data.source import OnProblem, refuse

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")  # in small letters; files may have capitals
_MANY = 1_000_000  # files: more are not all looked for
_SAMPLE = 10_000
_WORTH_LISTING = 8  # files in one folder: to list it takes less time than to ask for each


def image_paths(root: Path, folder: str) -> list[str]:
    """The images in ``root/folder`` and in folders below it, as paths relative to ``root``, sorted folder by folder;
    links to folders are not followed, and hidden files and folders, as kills and macOS leave them, are passed over."""
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
    """The sorted names of the folders in ``folder``, which may be links to folders elsewhere. ``on_problem`` decides
    about a link that leads nowhere, or to where images would be read twice, under two names."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_symlink()) for entry in entries if entry.is_symlink() or entry.is_dir()]
    links = sorted(folder / name for name, is_link in found if is_link)
    for link in links:
        if not link.exists():
            on_problem(link.name, f"{link} is a link that leads nowhere: restore what it leads to or remove it")
    good = _leading_elsewhere([link for link in links if link.is_dir()], on_problem)
    return sorted(name for name, is_link in found if not is_link or name in good)


def _leading_elsewhere(links: Sequence[Path], on_problem: OnProblem) -> set[str]:
    """The names of those ``links`` whose images are read under one name."""
    taken: dict[str, Path] = {}
    # What is above another comes before it.
    for place, link in sorted((os.path.realpath(link), link) for link in links):
        sentence = _read_twice(link, place, taken)
        if sentence:
            on_problem(link.name, sentence)
        else:
            taken[place] = link
    return {link.name for link in taken.values()}


def _read_twice(link: Path, place: str, taken: dict[str, Path]) -> str:
    """What is wrong with a ``link`` to a ``place`` whose images are read without it, from the folder that it stands in
    or by a link that has ``taken`` them; else nothing."""
    whole = os.path.realpath(link.parent)
    if os.path.commonpath([whole, place]) in (whole, place):
        return f"identity folder {link} is a link to {place}, whose images would be read twice: remove it"
    for other in (place, *map(str, Path(place).parents)):
        if other in taken:
            return (
                f"identity folders {taken[other]} and {link} are links to one folder, or one within the other: "
                "remove one of them"
            )
    return ""


def looked_for(number: int) -> range:
    """Which of a ``number`` of paths are looked for: of more than a million, ten thousand at even distances."""
    return range(0, number, 1 if number <= _MANY else number // _SAMPLE)


def missing_files(root: Path, paths: Sequence[str]) -> np.ndarray:
    """The numbers, ascending, of the ``paths`` below ``root`` that are `looked_for` and have no file. A progress bar on
    standard error."""
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
            # A link that leads to itself raises when the entry is asked.
            return {e.name for e in entries if (os.path.isfile(e.path) if e.is_symlink() else e.is_file())}
    except OSError:  # no folder, no file
        return set()
