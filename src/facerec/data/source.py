"""What a training set and a benchmark are: images by number, and what is known about them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np


class ImageSource(Protocol):
    """Images by number. Safe to pickle and to use from worker processes."""

    def __len__(self) -> int: ...

    def load(self, index: int) -> np.ndarray:
        """Image ``index`` as uint8 RGB ``(H, W, 3)`` in its native size; `InputError` names the image when it is
        unreadable."""
        ...

    def name(self, index: int) -> str:
        """What a person would call the image: its relative path, or ``train.rec record 12``."""
        ...

    def fingerprint(self) -> str:
        """Short hexadecimal digest of names, order and labels. No image is read."""
        ...

    def state(self) -> str:
        """Short hexadecimal digest of what shows that an image may have other pixels than before: sizes and times of
        the files, or the program that draws. No image is read."""
        ...


class LabelledSource(ImageSource, Protocol):
    """A training set: ``labels`` is int64 ``(N,)`` and holds every one of ``0 .. num_identities - 1``."""

    labels: np.ndarray
    num_identities: int

    def identity_name(self, label: int) -> str:
        """What the source calls the identity: the name of its folder, or its number in an archive."""
        ...

    def reference(self, index: int) -> str:
        """What stands for image ``index`` in a training list, ``REFERENCE IDENTITY`` a line with a tab between: its
        path below the root, or its key in an archive. `InputError` where a list cannot hold it."""
        ...


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


def digest(lines: Iterable[str]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of ``lines``."""
    sha, remaining = hashlib.sha256(), iter(lines)
    while some := list(islice(remaining, 4096)):
        sha.update("\n".join([*some, ""]).encode(errors="surrogateescape"))
    return sha.hexdigest()[:16]
