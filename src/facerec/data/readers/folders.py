"""Images in folders: a training set, and verification pairs in the layout of the TVConv paper's published code."""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from facerec.data.decode import decode_rgb
from facerec.data.readers.listing import identity_folders, image_paths, missing_files, shortest_spelling
from facerec.data.readers.people_names import people_in_paths
from facerec.data.readers.string_table import Texts
from facerec.data.readers.text_lines import BLANKS, numbered_lines, quote, words
from facerec.data.shared_arrays import SharedArrays
from facerec.data.source import (
    Benchmark,
    EncodedLabelledSource,
    EncodedSource,
    OnProblem,
    digest,
    refuse,
    refusing_unreadable,
)
from facerec.errors import InputError

# Benchmarks that reuse another benchmark's images with a different pair list.
_SHARED_IMAGES = {"cfp_fp": "cfp_ff"}


class FolderImages(SharedArrays, EncodedSource):
    """Image files at ``paths``, relative to ``root`` with forward slashes, or absolute."""

    def __init__(self, root: Path, paths: Iterable[str]) -> None:
        self.root, self.paths = root, paths if isinstance(paths, Texts) else Texts(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return self.paths[index]

    def full_name(self, index: int) -> str:
        return os.path.join(self.root, self.paths[index])

    def load(self, index: int) -> np.ndarray:
        return decode_rgb(self.encoded(index), self.full_name(index))

    def encoded(self, index: int) -> bytes:
        path = self.full_name(index)
        with _reading(path):
            return read_image_file(path)

    def fingerprint(self) -> str:
        return digest(self.paths)

    def state(self) -> str:
        paths = tqdm(self.paths, f"looking for changes in {self.root}", unit=" images", delay=2)
        return digest(_size_and_time(os.path.join(self.root, path)) for path in paths)

    def missing(self) -> np.ndarray:
        """Return the ascending indices of images without a file; each folder is listed once, with a progress bar."""
        return missing_files(self.root, self.paths)


class LabelledFolder(FolderImages, EncodedLabelledSource):
    """A training set of image files.

    Args:
        root: the folder that paths are relative to.
        paths: one per image.
        labels: labels of the images, indices into ``identities``.
        identities: names of the identities.
    """

    def __init__(self, root: Path, paths: Iterable[str], labels: np.ndarray, identities: Iterable[str]) -> None:
        super().__init__(root, paths)
        self.labels, self._identities = labels, Texts(identities)
        self.num_identities = len(self._identities)

    def identity_name(self, label: int) -> str:
        return self._identities[label]

    def reference(self, index: int) -> str:
        """Return the path; a list cannot contain tabs, line breaks and characters that are not UTF-8."""
        path = self.paths[index]
        if not path.isprintable() and re.search(r"[\t\r\n\udc80-\udcff]", path):
            problem = "cannot be in a list, which is UTF-8 text with one line per image"
            raise InputError(f"image {self.full_name(index)!r} {problem}: rename it")
        # Otherwise a list would take its start for a comment, for blanks or for a byte order mark.
        return f"./{path}" if path[0] in "#\ufeff" or path[0].isspace() else path

    def fingerprint(self) -> str:
        labels = chain.from_iterable(part.tolist() for part in np.array_split(self.labels, len(self) // 65536 + 1))
        return digest(f"{path} {label}" for path, label in zip(self.paths, labels, strict=True))


def read_identity_folders(folder: str | Path, on_problem: OnProblem = refuse) -> LabelledFolder:
    """Read a training set with one folder per identity: ``folder/IDENTITY/**/IMAGE``.

    An identity folder may be a link to a folder elsewhere; links to folders in an identity are not followed.
    Hidden folders and those of programs are passed over. ``on_problem`` is called for an identity that is empty or may
    not be read, for a benchmark among them, for an image that would be passed over for its name or its place, and for a
    link that is broken or would have images read twice. Raises `InputError` for a missing folder and for one without
    identities.
    """
    folder = Path(folder)
    if not os.path.isdir(folder):
        problem = "is a file" if os.path.exists(folder) else "does not exist"
        raise InputError(f"training folder {folder} {problem}: check its name, or choose a list of images instead")
    counts: dict[str, int] = {}
    paths = Texts(_paths_of(folder, identity_folders(folder, on_problem), counts, on_problem))
    if not counts:
        raise InputError(f"training folder {folder} has no identity folder: it must have files IDENTITY/IMAGE")
    return LabelledFolder(folder, paths, np.repeat(np.arange(len(counts)), list(counts.values())), counts)


def read_pairs(root: str | Path, name: str, on_problem: OnProblem = refuse) -> Benchmark:
    """Read the benchmark ``root/name/name_pair.txt``, lines ``LEFT RIGHT FLAG``, with images in ``root/name/name``.

    FLAG is 1 for the same person or -1. The separators are spaces or tabs; a single tab each if a path contains spaces.
    Outer spaces do not belong to a path. Empty lines and lines that start with # are ignored.

    ``on_problem`` is called for lines of another format. Raises `InputError` for a missing file or folder, or no pair.
    """
    root = Path(root)
    file = root / name / f"{name}_pair.txt"
    pairs = list(_parsed_pairs(file, on_problem))
    if not pairs:
        raise InputError(f"pair list {file} has no line LEFT RIGHT FLAG: write one per pair")
    paths, indices = np.unique(np.array([(left, right) for left, right, _ in pairs]), return_inverse=True)
    left, right = indices.reshape(-1, 2).T
    images = root / name / name
    if name in _SHARED_IMAGES and not images.is_dir():
        images = root / _SHARED_IMAGES[name] / _SHARED_IMAGES[name]
    if not images.is_dir():
        remedy = "put them there or leave the benchmark out"
        raise InputError(f"the images of benchmark {name} are not at {images}: {remedy}")
    is_same = np.array([same for *_, same in pairs])
    people = people_in_paths(paths.tolist(), left, right, is_same)
    return Benchmark(name, FolderImages(images, paths.tolist()), left, right, is_same, people)


def with_unlisted(benchmark: Benchmark) -> Benchmark:
    """Return the benchmark with all images of its folder: after those in pairs, those that no pair names.

    A benchmark that is not in a folder stays as it is.
    """
    listed = benchmark.images
    if not isinstance(listed, FolderImages):
        return benchmark
    known = {os.path.normpath(path) for path in listed.paths}
    there = (path.removeprefix("./") for path in image_paths(listed.root, "."))
    paths = [*listed.paths, *(path for path in there if os.path.normpath(path) not in known)]
    people = people_in_paths(paths, benchmark.left, benchmark.right, benchmark.is_same)
    return replace(benchmark, images=FolderImages(listed.root, paths), people=people, listed=listed)


def _parsed_pairs(file: Path, on_problem: OnProblem) -> Iterator[tuple[str, str, bool]]:
    for number, line in numbered_lines(file, "pair list", "check the folder and the name", comments=True):
        fields = [field.strip(BLANKS) for field in line.split("\t")]
        if len(fields) != 3 or not all(fields):
            fields = words(line)
        if len(fields) == 3 and fields[2] in ("1", "-1"):
            yield shortest_spelling(fields[0]), shortest_spelling(fields[1]), fields[2] == "1"
        else:
            remedy = "LEFT RIGHT FLAG with FLAG 1 for one person and -1 for two, separated by tabs if a path has spaces"
            on_problem(number, f"line {number} of {file} is {quote(line)}: write {remedy}")


def _paths_of(folder: Path, identities: list[str], counts: dict[str, int], on_problem: OnProblem) -> Iterator[str]:
    """Yield the paths of all images, identity by identity, and put their number per identity in ``counts``."""
    for identity in tqdm(identities, f"listing {folder}", unit=" identities", delay=2):
        here = folder / identity
        if os.path.isfile(here / f"{identity}_pair.txt"):
            on_problem(identity, f"{here} is a benchmark among the identity folders: move it out of {folder}")
            continue
        try:
            paths = image_paths(folder, identity, on_problem)
        except InputError as error:
            on_problem(identity, str(error))
            continue
        if paths:
            counts[identity] = len(paths)
            yield from paths
        else:
            on_problem(identity, f"identity folder {here} has no image: remove it or fill it")


def _size_and_time(path: str) -> str:
    with _reading(path):
        found = os.stat(path)
    return f"{found.st_size} {found.st_mtime_ns}"


def read_image_file(path: str | Path) -> bytes:
    """Return the content of a file; raise `OSError` at once if it is a pipe or a device, which may never end."""
    with open(path, "rb", buffering=0, opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is a pipe or a device, not a file")
        return file.read()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for who writes into it


def _reading(path: str) -> AbstractContextManager[None]:
    return refusing_unreadable(f"image {path}", "restore it or take it off the list")
