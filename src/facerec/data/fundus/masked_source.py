"""The interface of photographs with masks of optic disc and cup, from several clinics; parts of them."""

import hashlib
from abc import abstractmethod
from typing import Protocol

import numpy as np

from facerec.data.source import ImageSource, digest
from facerec.errors import InputError

BACKGROUND, RIM, CUP = 0, 1, 2  # of a mask: the disc is the rim and the cup
TRAIN, TEST = "train", "test"


class MaskedSource(ImageSource, Protocol):
    """Images with masks.

    Attributes:
        domain_names: names of the domains, that is of the clinics.
        domains: int64 ``(N,)``, indices into ``domain_names``.
        split: ``(N,)``, "train" or "test".
    """

    domain_names: tuple[str, ...]
    domains: np.ndarray
    split: np.ndarray

    @abstractmethod
    def mask(self, index: int) -> np.ndarray:
        """Return the mask of image ``index`` in its native size, uint8 ``(H, W)``: 0 background, 1 disc outside the
        cup, 2 cup; `InputError` if it is unreadable or has other values."""

    def mask_name(self, index: int) -> str:
        """Return the name by which a person finds the mask of image ``index``."""
        return f"of {self.full_name(index)}"


class MaskedSubset(MaskedSource):
    """The images of ``source`` at ``positions``, in that order; its domains keep their numbers."""

    def __init__(self, source: MaskedSource, positions: np.ndarray) -> None:
        self.source, self.positions = source, np.ascontiguousarray(positions, np.int64)
        self.domain_names = source.domain_names
        self.domains, self.split = source.domains[self.positions], source.split[self.positions]

    def __len__(self) -> int:
        return len(self.positions)

    def load(self, index: int) -> np.ndarray:
        return self.source.load(int(self.positions[index]))

    def mask(self, index: int) -> np.ndarray:
        return self.source.mask(int(self.positions[index]))

    def name(self, index: int) -> str:
        return self.source.name(int(self.positions[index]))

    def full_name(self, index: int) -> str:
        return self.source.full_name(int(self.positions[index]))

    def mask_name(self, index: int) -> str:
        return self.source.mask_name(int(self.positions[index]))

    def fingerprint(self) -> str:
        return digest([self.source.fingerprint(), hashlib.sha256(self.positions.data).hexdigest()])

    def state(self) -> str:
        return self.source.state()


def read_pair(source: MaskedSource, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return image ``index`` and its mask; `InputError` if one is unreadable or they differ in size."""
    image, mask = source.load(index), source.mask(index)
    refuse_other_size(source, index, image, mask)
    return image, mask


def refuse_other_size(source: MaskedSource, index: int, image: np.ndarray, mask: np.ndarray) -> None:
    """Raise `InputError` if image ``index`` and its mask differ in size."""
    if image.shape[:2] != mask.shape:
        sizes = f"has {_size(mask)} pixels, and image {source.full_name(index)} has {_size(image)}"
        raise InputError(f"mask {source.mask_name(index)} {sizes}: make the mask of this very image")


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[0]}x{pixels.shape[1]}"
