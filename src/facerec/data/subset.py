"""A part of a training set."""

import hashlib
from pathlib import Path

import numpy as np

from facerec.data.shared_arrays import SharedArrays
from facerec.data.source import EncodedLabelledSource, EncodedSource, LabelledSource, digest


class Subset(SharedArrays, EncodedLabelledSource):
    """The images of ``source`` at ``positions``, in that order.

    Names and references are the source's; labels number the remaining identities from 0, in the source's order.
    """

    def __init__(self, source: LabelledSource, positions: np.ndarray) -> None:
        self.source, self.positions = source, np.ascontiguousarray(positions, np.int64)
        is_left = np.zeros(source.num_identities, bool)
        is_left[source.labels[self.positions]] = True
        self._identities = np.flatnonzero(is_left)
        self.labels = (np.cumsum(is_left) - 1)[source.labels[self.positions]]
        self.num_identities = len(self._identities)

    def __len__(self) -> int:
        return len(self.positions)

    def load(self, index: int) -> np.ndarray:
        return self.source.load(int(self.positions[index]))

    def encoded(self, index: int) -> bytes:
        assert isinstance(self.source, EncodedSource)
        return self.source.encoded(int(self.positions[index]))

    def name(self, index: int) -> str:
        return self.source.name(int(self.positions[index]))

    def full_name(self, index: int) -> str:
        return self.source.full_name(int(self.positions[index]))

    def missing(self) -> np.ndarray:
        return np.flatnonzero(np.isin(self.positions, self.source.missing()))

    def listed_in(self, index: int) -> tuple[Path, int] | None:
        return self.source.listed_in(int(self.positions[index]))

    def identity_name(self, label: int) -> str:
        return self.source.identity_name(int(self._identities[label]))

    def reference(self, index: int) -> str:
        return self.source.reference(int(self.positions[index]))

    def fingerprint(self) -> str:
        return digest([self.source.fingerprint(), hashlib.sha256(self.positions.data).hexdigest()])

    def state(self) -> str:
        return self.source.state()
