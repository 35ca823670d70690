"""The interfaces of training sets and benchmarks: images by index, and what is known about them."""

import hashlib
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from facerec.errors import InputError
from facerec.verification.dependence import PairPeople, connected_people, named_people

# Called by a reader with the number of an unusable line or the name of an unusable identity folder, and a sentence. If
# the call returns, the reader continues without the line or the folder.
OnProblem = Callable[[int | str, str], None]


def refuse(_: int | str, sentence: str) -> None:
    """Raise the sentence as an `InputError`: no training on data that is partly wrong."""
    raise InputError(sentence)


ALLOW = "allow reading it, or leave it out"


@contextmanager
def refusing_unreadable(what: str, remedy: str) -> Iterator[None]:
    """A block that reads ``what``, such as "folder train"; raises `InputError` with the reason if it cannot."""
    try:
        yield
    except OSError as error:
        where = "" if error.filename is None or str(error.filename) in what else f": {error.filename}"
        raise InputError(f"{what} cannot be read ({error.strerror or error}{where}): {remedy}") from error


class ImageSource(Protocol):
    """Images by index. Safe to pickle and to use in workers."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def load(self, index: int) -> np.ndarray:
        """Return image ``index`` as uint8 RGB ``(H, W, 3)`` in its native size; `InputError` if it is unreadable."""

    @abstractmethod
    def name(self, index: int) -> str:
        """Return a readable name of the image: its relative path, or ``train.rec record 12``."""

    def full_name(self, index: int) -> str:
        """Return the name by which a person finds the image: for an image file, its path with all folders."""
        return self.name(index)

    def missing(self) -> np.ndarray:
        """Return the ascending indices of images known to be missing, without reading an image."""
        return np.empty(0, np.int64)

    def listed_in(self, index: int) -> tuple[Path, int] | None:
        """Return the list that names the image, and the line number; None without a list."""
        return None

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a short hexadecimal digest of names, order and labels, without reading an image."""

    @abstractmethod
    def state(self) -> str:
        """Return a short hexadecimal digest of what shows that pixels may have changed: sizes and times of the files,
        or the painter's version. No image is read."""


class LabelledSource(ImageSource, Protocol):
    """A training set; ``labels``, int64 ``(N,)``, has every value of ``0 .. num_identities - 1``."""

    labels: np.ndarray
    num_identities: int

    def missing_classes(self) -> np.ndarray:
        """Return the ascending class labels, below the largest, that no image has; none if identities have names."""
        return np.empty(0, np.int64)

    @abstractmethod
    def identity_name(self, label: int) -> str:
        """Return the source's name of an identity: the name of its folder, or its class label in an archive."""

    @abstractmethod
    def reference(self, index: int) -> str:
        """Return what represents image ``index`` in a training list of lines ``REFERENCE<tab>IDENTITY``: its path in
        the root, or its key in an archive. Raises `InputError` if a list cannot contain it."""


@runtime_checkable
class EncodedSource(ImageSource, Protocol):
    """Images that exist as files, unlike synthetic ones."""

    @abstractmethod
    def encoded(self, index: int) -> bytes:
        """Return the bytes of image ``index``; raise `InputError` if it cannot be read."""


class EncodedLabelledSource(EncodedSource, LabelledSource, Protocol):
    """A training set whose images exist as files."""


@dataclass(frozen=True)
class Benchmark:
    """Verification pairs over distinct images.

    ``left`` and ``right``, int64 ``(P,)``, are indices into ``images``; ``is_same``, bool ``(P,)``, is true for two
    images of one person. The order of the pairs is the protocol's: its folds are contiguous. ``people`` names the
    person of each image; None if the source does not. ``listed`` are the first of the ``images``, those in pairs, if
    there are others, which no pair names. ``is_apart`` says that none of its people is in the training set, by the way
    both were made.
    """

    name: str
    images: ImageSource
    left: np.ndarray
    right: np.ndarray
    is_same: np.ndarray
    people: tuple[str, ...] | None = None
    listed: ImageSource | None = None
    is_apart: bool = False

    def __len__(self) -> int:
        return len(self.is_same)

    @property
    def num_images(self) -> int:
        """How many distinct images there are."""
        return len(self.images)

    def people_of_pairs(self) -> PairPeople:
        """Return who is in the pairs, by name or else as far as the pairs tell."""
        if self.people is None:
            return connected_people(self.left, self.right, self.is_same)
        names = np.array(self.people)
        return named_people(names[self.left], names[self.right])

    def fingerprint(self) -> str:
        """Return a short hexadecimal digest of the names of the images in pairs, and of the pairs."""
        images = self.images if self.listed is None else self.listed
        pairs = zip(self.left.tolist(), self.right.tolist(), self.is_same.tolist(), strict=True)
        return digest([images.fingerprint(), *(f"{left} {right} {same}" for left, right, same in pairs)])


def refuse_missing(images: ImageSource) -> None:
    """Raise `InputError` for the first missing image: better now than after an epoch."""
    missing = images.missing().tolist()
    if missing:
        _refuse_no_permission(images.full_name(missing[0]))
        listed = images.listed_in(missing[0])
        line = f" in line {listed[1]} of {listed[0]}" if listed else ""
        others = f", and so are {len(missing) - 1} others" if len(missing) > 1 else ""
        problem = f"image {images.full_name(missing[0])}{line} is missing{others}"
        remedy = f"{slashes(images.name(missing[0]))}restore what is missing or take it off the list"
        raise InputError(f"{problem}: {remedy}")


def _refuse_no_permission(image: str) -> None:
    """Raise `InputError` if the image may be there, in a folder that may not be entered."""
    try:
        os.stat(image)
    except PermissionError as error:
        raise InputError(f"image {image} cannot be read ({error.strerror}): {ALLOW}") from error
    except OSError:
        return


def slashes(path: str) -> str:
    """Return the beginning of a remedy for a path that does not exist; empty unless it is written as in Windows."""
    return "write / between folders in place of \\, or " if "\\" in path and os.sep != "\\" else ""


def refuse_one_identity(train: LabelledSource) -> None:
    """Raise `InputError` if all images are of one identity: the loss is then 0, and nothing is learned."""
    if train.num_identities < 2:
        problem = f"all {len(train)} training images are of one identity, {train.identity_name(0)!r}"
        raise InputError(f"{problem}, and training tells two or more apart: add people or correct the labels")


def digest(lines: Iterable[str]) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of ``lines``."""
    sha, remaining = hashlib.sha256(), iter(lines)
    while some := list(islice(remaining, 4096)):
        sha.update("\n".join([*some, ""]).encode(errors="surrogateescape"))
    return sha.hexdigest()[:16]
