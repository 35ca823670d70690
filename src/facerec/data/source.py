"""What a training set and a benchmark are: images by number, and what is known about them."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from facerec.errors import InputError

# What a reader does about a line of a list or an identity folder that it cannot use: it hands over the number or the
# name, and a sentence. Where the call returns, the reader goes on without the line or the folder.
OnProblem = Callable[[int | str, str], None]


def refuse(place: int | str, sentence: str) -> None:
    """The sentence as an `InputError`: nothing is trained on data of which a part is wrong."""
    raise InputError(sentence)


class ImageSource(Protocol):
    """Images by number. Safe to pickle and to use from worker processes."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def load(self, index: int) -> np.ndarray:
        """Image ``index`` as uint8 RGB ``(H, W, 3)`` in its native size; `InputError` names the image when it is
        unreadable."""

    @abstractmethod
    def name(self, index: int) -> str:
        """What a person would call the image: its relative path, or ``train.rec record 12``."""

    def full_name(self, index: int) -> str:
        """The name of the image, for a file of its own with all folders, so that a person finds it."""
        return self.name(index)

    def missing(self) -> np.ndarray:
        """The numbers, ascending, of the images that are known not to be there; none where nothing can be missing. No
        image is read."""
        return np.empty(0, np.int64)

    def listed_in(self, index: int) -> tuple[Path, int] | None:
        """The list that names the image, and the line of it; None where no list does."""
        return None

    @abstractmethod
    def fingerprint(self) -> str:
        """Short hexadecimal digest of names, order and labels. No image is read."""

    @abstractmethod
    def state(self) -> str:
        """Short hexadecimal digest of what shows that an image may have other pixels than before: sizes and times of
        the files, or the program that draws. No image is read."""


class LabelledSource(ImageSource, Protocol):
    """A training set: ``labels`` is int64 ``(N,)`` and holds every one of ``0 .. num_identities - 1``."""

    labels: np.ndarray
    num_identities: int

    def missing_classes(self) -> np.ndarray:
        """The class numbers below the largest that no image has, ascending; none where identities have names."""
        return np.empty(0, np.int64)

    @abstractmethod
    def identity_name(self, label: int) -> str:
        """What the source calls the identity: the name of its folder, or its number in an archive."""

    @abstractmethod
    def reference(self, index: int) -> str:
        """What stands for image ``index`` in a training list, ``REFERENCE IDENTITY`` a line with a tab between: its
        path below the root, or its key in an archive. `InputError` where a list cannot hold it."""


@runtime_checkable
class EncodedSource(ImageSource, Protocol):
    """Images that stand somewhere as files, which drawn ones do not."""

    @abstractmethod
    def encoded(self, index: int) -> bytes:
        """The file of image ``index`` as it is; `InputError` when it cannot be read."""


class EncodedLabelledSource(EncodedSource, LabelledSource, Protocol):
    """A training set whose images stand somewhere as files."""


@dataclass(frozen=True)
class Benchmark:
    """Verification pairs over distinct images.

    ``left`` and ``right``, int64 ``(P,)``, index into ``images``; ``is_same``, bool ``(P,)``, says whether a pair shows
    one person. The order of the pairs is the protocol's: its folds are contiguous.
    """

    name: str
    images: ImageSource
    left: np.ndarray
    right: np.ndarray
    is_same: np.ndarray

    def __len__(self) -> int:
        return len(self.is_same)

    def fingerprint(self) -> str:
        """Short hexadecimal digest of the images' names and the pairs."""
        pairs = zip(self.left.tolist(), self.right.tolist(), self.is_same.tolist(), strict=True)
        return digest([self.images.fingerprint(), *(f"{left} {right} {same}" for left, right, same in pairs)])


def refuse_missing(images: ImageSource) -> None:
    """`InputError` for the first of the images that are `missing`; better now than after an epoch."""
    missing = images.missing().tolist()
    if missing:
        listed = images.listed_in(missing[0])
        line = f" in line {listed[1]} of {listed[0]}" if listed else ""
        others = f", nor are {len(missing) - 1} others" if len(missing) > 1 else ""
        raise InputError(
            f"image {images.full_name(missing[0])}{line} is not there{others}: restore what is missing or take it off "
            "the list"
        )


def digest(lines: Iterable[str]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of ``lines``."""
    sha, remaining = hashlib.sha256(), iter(lines)
    while some := list(islice(remaining, 4096)):
        sha.update("\n".join([*some, ""]).encode(errors="surrogateescape"))
    return sha.hexdigest()[:16]
