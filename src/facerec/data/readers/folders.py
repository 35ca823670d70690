"""Images in folders: a training set, and verification pairs in the layout of the TVConv paper's
published code."""

import os
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from facerec.data.decode import decode_rgb
from facerec.data.readers.listing import identity_folders, image_paths, missing_files
from facerec.data.readers.string_table import Texts
from facerec.data.readers.text_lines import BLANKS, numbered_lines, quote, words
from facerec.data.shared_arrays import SharedArrays
from facerec.data.source import Benchmark, EncodedLabelledSource, EncodedSource, OnProblem, digest, refuse
from facerec.errors import InputError

# Benchmarks that are another pair list over the images of one that stands in its own folder.
_SHARED_IMAGES = {"cfp_fp": "cfp_ff"}


class FolderImages(SharedArrays, EncodedSource):
    """Image files under ``root`` at ``paths`` (relative, with forward slashes; an absolute path stands for itself)."""

    def __init__(self, root: Path, paths: Iterable[str]) -> None:
        self.root, self.paths = root, paths if isinstance(paths, Texts) else Texts(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return self.paths[index]

    def full_name(self, index: int) -> str:
        """The path with the root."""
        return os.path.join(self.root, self.paths[index])

    def load(self, index: int) -> np.ndarray:
        return decode_rgb(self.encoded(index), self.full_name(index))

    def encoded(self, index: int) -> bytes:
        """The file of image ``index`` as it is."""
        path = self.full_name(index)
        try:
            with open(path, "rb", buffering=0) as file:
                return file.read()
        except OSError as error:
            raise _cannot_be_read(path, error) from error

    def fingerprint(self) -> str:
        return digest(self.paths)

    def state(self) -> str:
        # The list is long, and over a network each file takes its time.
        paths = tqdm(self.paths, f"looking for changes in {self.root}", unit=" images", delay=2)
        return digest(_size_and_time(os.path.join(self.root, path)) for path in paths)

    def missing(self) -> np.ndarray:
        """The numbers of the images that have no file, ascending; each folder is read once, with a progress bar on
        standard error."""
        return missing_files(self.root, self.paths)


class LabelledFolder(FolderImages, EncodedLabelledSource):
    """A training set of image files.

    Args:
        root: the folder that paths are relative to.
        paths: one a image.
        labels: of the images, numbering ``identities`` from 0.
        identities: their names.
    """

    def __init__(self, root: Path, paths: Iterable[str], labels: np.ndarray, identities: Iterable[str]) -> None:
        super().__init__(root, paths)
        self.labels, self._identities = labels, Texts(identities)
        self.num_identities = len(self._identities)

    def identity_name(self, label: int) -> str:
        return self._identities[label]

    def reference(self, index: int) -> str:
        """The path, which a list cannot hold when there is a tab, a line break or a letter that is not UTF-8 in it."""
        path = self.paths[index]
        if not path.isprintable() and re.search(r"[\t\r\n\udc80-\udcff]", path):
            raise InputError(
                f"image {self.full_name(index)!r} cannot stand in a list, which is UTF-8 text with a line an image: "
                "rename it"
            )
        # As it is, a list would take it for a comment, for blanks or for the mark at the start of a file.
        return f"./{path}" if path[0] in "#\ufeff" or path[0].isspace() else path

    def fingerprint(self) -> str:
        labels = chain.from_iterable(part.tolist() for part in np.array_split(self.labels, len(self) // 65536 + 1))
        return digest(f"{path} {label}" for path, label in zip(self.paths, labels, strict=True))


def read_identity_folders(folder: str | Path, on_problem: OnProblem = refuse) -> LabelledFolder:
    """A training set with one folder an identity: ``folder/IDENTITY/**/IMAGE``.

    An identity folder may be a link to a folder elsewhere; links to folders inside an identity are not followed.
    ``on_problem`` decides about an empty identity, a benchmark among them, and a link that leads nowhere or by which
    images would be read twice. `InputError` names a missing folder, and one without an identity.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"training folder {folder} does not exist: check its name, or choose a list of images instead")
    counts: dict[str, int] = {}
    paths = Texts(_paths_of(folder, identity_folders(folder, on_problem), counts, on_problem))
    if not counts:
        raise InputError(f"training folder {folder} holds no identity folder: it must hold IDENTITY/IMAGE files")
    return LabelledFolder(folder, paths, np.repeat(np.arange(len(counts)), list(counts.values())), counts)


def read_pairs(root: str | Path, name: str, on_problem: OnProblem = refuse) -> Benchmark:
    """The benchmark ``root/name/name_pair.txt`` over images below ``root/name/name``, ``LEFT RIGHT FLAG`` a line, FLAG
    1 (same) or -1. Between them stand spaces or tabs; one tab each where a path holds spaces. Outer spaces of a path
    are none of it. Empty lines and lines that begin with # are passed over.

    ``on_problem`` decides about lines of another form. `InputError` names a missing file or folder, and a list without
    a pair.
    """
    root = Path(root)
    file = root / name / f"{name}_pair.txt"
    pairs = list(_parsed_pairs(file, on_problem))
    if not pairs:
        raise InputError(f"pair list {file} holds no line LEFT RIGHT FLAG: write one a pair")
    paths, indices = np.unique(np.array([(left, right) for left, right, _ in pairs]), return_inverse=True)
    left, right = indices.reshape(-1, 2).T
    images = root / name / name
    if name in _SHARED_IMAGES and not images.is_dir():
        images = root / _SHARED_IMAGES[name] / _SHARED_IMAGES[name]
    if not images.is_dir():
        raise InputError(
            f"the images of benchmark {name} are not at {images}: put them there or leave the benchmark out"
        )
    return Benchmark(name, FolderImages(images, paths.tolist()), left, right, np.array([same for *_, same in pairs]))


def _parsed_pairs(file: Path, on_problem: OnProblem) -> Iterator[tuple[str, str, bool]]:
    for number, line in numbered_lines(file, "pair list", "check the folder and the name", comments=True):
        fields = [field.strip(BLANKS) for field in line.split("\t")]
        if len(fields) != 3 or not all(fields):
            fields = words(line)
        if len(fields) == 3 and fields[2] in ("1", "-1"):
            yield fields[0], fields[1], fields[2] == "1"
        else:
            on_problem(
                number,
                f"line {number} of {file} is {quote(line)}: write LEFT RIGHT FLAG with FLAG 1 for the same person, -1 "
                "for two, and tabs between them where a path holds spaces",
            )


def _paths_of(folder: Path, identities: list[str], counts: dict[str, int], on_problem: OnProblem) -> Iterator[str]:
    """The paths of all images, identity by identity; their number goes to ``counts``."""
    for identity in tqdm(identities, f"listing {folder}", unit=" identities", delay=2):
        here = folder / identity
        if os.path.isfile(here / f"{identity}_pair.txt"):
            on_problem(identity, f"{here} is a benchmark among the identity folders: move it out of {folder}")
        elif paths := image_paths(folder, identity):
            counts[identity] = len(paths)
            yield from paths
        else:
            on_problem(identity, f"identity folder {here} holds no image: remove it or fill it")


def _size_and_time(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError as error:
        raise _cannot_be_read(path, error) from error
    return f"{found.st_size} {found.st_mtime_ns}"


def _cannot_be_read(path: str, error: OSError) -> InputError:
    return InputError(f"image {path} cannot be read ({error.strerror}): restore it or take it off the list")
