"""Images in folders: a training set with or without a list, and verification pairs in the layout of the TVConv paper's
published code."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from facerec.data.decode import decode_rgb
from facerec.data.source import Benchmark, digest
from facerec.errors import InputError

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
# Benchmarks that are another pair list over the images of one that stands in its own folder.
_SHARED_IMAGES = {"cfp_fp": "cfp_ff"}


class FolderImages:
    """Image files under ``root`` at ``paths`` (relative, with forward slashes)."""

    def __init__(self, root: Path, paths: list[str]) -> None:
        self.root, self.paths = root, paths

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return self.paths[index]

    def load(self, index: int) -> np.ndarray:
        path = f"{self.root}/{self.paths[index]}"
        try:
            with open(path, "rb", buffering=0) as file:
                data = file.read()
        except OSError as error:
            raise _cannot_be_read(path, error) from error
        return decode_rgb(data, path)

    def fingerprint(self) -> str:
        return digest(self.paths)

    def state(self) -> str:
        # The list is long, and over a network each file takes its time.
        paths = tqdm(self.paths, f"looking for changes in {self.root}", unit=" images", delay=2)
        return digest(_size_and_time(f"{self.root}/{path}") for path in paths)

    def refuse_missing(self) -> None:
        """`InputError` for the first path with no file; better now than after an epoch."""
        for path in self.paths:
            if not (self.root / path).is_file():
                raise InputError(
                    f"image {self.root / path} is listed and not there: restore it or take it off the list"
                )


class LabelledFolder(FolderImages):
    """A training set of image files.

    Args:
        root: the folder that paths are relative to.
        paths: one a image.
        identities: the name of each image's identity; labels number the sorted distinct names from 0.
    """

    def __init__(self, root: Path, paths: list[str], identities: list[str]) -> None:
        super().__init__(root, paths)
        names, labels = np.unique(np.array(identities), return_inverse=True)
        self.labels, self.num_identities = labels.astype(np.int64), len(names)

    def fingerprint(self) -> str:
        return digest(f"{path} {label}" for path, label in zip(self.paths, self.labels, strict=True))


def read_identity_folders(folder: str | Path) -> LabelledFolder:
    """A training set with one folder an identity: ``folder/IDENTITY/**/IMAGE``. `InputError` names a missing folder and
    an empty identity."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"training folder {folder} does not exist: set data.root, data.train_folder or data.train_list"
        )
    paths, identities = [], []
    for identity in sorted(entry.name for entry in folder.iterdir() if entry.is_dir()):
        images = sorted(_images_below(folder / identity))
        if not images:
            raise InputError(f"identity folder {folder / identity} holds no image: remove it or fill it")
        paths += [image.relative_to(folder).as_posix() for image in images]
        identities += [identity] * len(images)
    if not paths:
        raise InputError(f"training folder {folder} holds no identity folder: it must hold IDENTITY/IMAGE files")
    return LabelledFolder(folder, paths, identities)


def read_train_list(root: str | Path, train_list: str | Path) -> LabelledFolder:
    """A training set from a list with ``PATH IDENTITY`` a line, the paths relative to ``root``.

    A path may hold spaces, an identity may not; empty lines and lines that begin with # are passed over. ``train_list``
    is looked for as given, then below ``root``. `InputError` names a missing file, a bad line, or a first image that is
    not below ``root``.
    """
    root = Path(root)
    file = _find_list(root, Path(train_list))
    rows = [(number, line.rsplit(maxsplit=1)) for number, line in _lines(file)]
    for number, fields in rows:
        if len(fields) != 2:
            raise InputError(f"line {number} of {file} is {' '.join(fields)!r}: write PATH IDENTITY")
    if not rows:
        raise InputError(f"training list {file} is empty: write one PATH IDENTITY a line")
    first = root / rows[0][1][0]
    if not first.is_file():
        raise InputError(
            f"the first image of {file} is not at {first}: set data.root to the folder that its paths start from"
        )
    return LabelledFolder(root, [fields[0] for _, fields in rows], [fields[1] for _, fields in rows])


def read_pairs(root: str | Path, name: str) -> Benchmark:
    """The benchmark ``root/name/name_pair.txt`` over images below ``root/name/name``, ``LEFT RIGHT FLAG`` a line, FLAG
    1 (same) or -1.

    `InputError` names a missing file or folder, or the line that is not of this form.
    """
    root = Path(root)
    file = root / name / f"{name}_pair.txt"
    pairs = [_parse_pair(file, number, line) for number, line in _lines(file)]
    if not pairs:
        raise InputError(f"pair list {file} is empty: write one LEFT RIGHT FLAG a line")
    paths, indices = np.unique(np.array([(left, right) for left, right, _ in pairs]), return_inverse=True)
    left, right = indices.reshape(-1, 2).T
    images = root / name / name
    if name in _SHARED_IMAGES and not images.is_dir():
        images = root / _SHARED_IMAGES[name] / _SHARED_IMAGES[name]
    if not images.is_dir():
        raise InputError(
            f"the images of benchmark {name} are not at {images}: put them there or narrow data.benchmarks"
        )
    return Benchmark(
        name, FolderImages(images, paths.tolist()), left, right, np.array([flag == 1 for *_, flag in pairs])
    )


def _parse_pair(file: Path, number: int, line: str) -> tuple[str, str, int]:
    fields = line.split()
    if len(fields) != 3 or fields[2] not in ("1", "-1"):
        raise InputError(
            f"line {number} of {file} is {line!r}: write LEFT RIGHT FLAG with FLAG 1 for the same person, -1 for two"
        )
    return fields[0], fields[1], int(fields[2])


def _find_list(root: Path, train_list: Path) -> Path:
    for candidate in (train_list, root / train_list):
        if candidate.is_file():
            return candidate
    raise InputError(f"training list {train_list} is neither there nor below {root}: set data.train_list")


def _size_and_time(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError as error:
        raise _cannot_be_read(path, error) from error
    return f"{found.st_size} {found.st_mtime_ns}"


def _cannot_be_read(path: str, error: OSError) -> InputError:
    return InputError(f"image {path} cannot be read ({error.strerror}): restore it or take it off the list")


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}): check data.root and the name") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text (byte {error.start}): save it as UTF-8") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def _images_below(folder: Path) -> Iterator[Path]:
    for parent, _, files in os.walk(folder):
        yield from (Path(parent, file) for file in files if Path(file).suffix.lower() in _SUFFIXES)
