"""Millions of texts that workers share."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from facerec.data.shared_arrays import SharedArrays

_CHUNK = 65536  # texts that are Python objects at a time


class Texts(SharedArrays, Sequence[str]):
    """Read-only texts without NUL, such as paths, which take the bytes of their characters and nine more each.

    Bytes that are not UTF-8 are represented as in Python's file names (``surrogateescape``).
    """

    def __init__(self, texts: Iterable[str]) -> None:
        joined, remaining = bytearray(), iter(texts)
        while chunk := list(islice(remaining, _CHUNK)):
            joined += "\0".join([*chunk, ""]).encode(errors="surrogateescape")
        self._take(np.frombuffer(joined, np.uint8) if joined else np.empty(0, np.uint8))

    @classmethod
    def of_joined(cls, joined: np.ndarray) -> "Texts":
        """Create the texts of `joined`."""
        texts = cls.__new__(cls)
        texts._take(joined)
        return texts

    @property
    def joined(self) -> np.ndarray:
        """Their bytes, each with a NUL at its end, uint8."""
        return self._joined

    def _take(self, joined: np.ndarray) -> None:
        self._joined, self._ends = joined, np.flatnonzero(joined == 0)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: Any) -> Any:
        """Return the text at ``index``, or the list of texts of a slice."""
        indices = range(len(self))[index]
        return self._text(indices) if isinstance(indices, int) else [self._text(i) for i in indices]

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _CHUNK):
            last = min(first + _CHUNK, len(self)) - 1
            yield from self._decoded(self._start(first), int(self._ends[last])).split("\0")

    def _text(self, index: int) -> str:
        return self._decoded(self._start(index), int(self._ends[index]))

    def _start(self, index: int) -> int:
        return int(self._ends[index - 1]) + 1 if index else 0

    def _decoded(self, start: int, end: int) -> str:
        return self._joined[start:end].tobytes().decode(errors="surrogateescape")
