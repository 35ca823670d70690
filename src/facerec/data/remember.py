"""Images that are costly to make are made once."""

import os
import tempfile
import weakref
from functools import cached_property

import numpy as np

from facerec.data.decode import resize
from facerec.data.source import ImageSource


class RememberedImages:
    """``source`` with every image kept, in its final size, after it was loaded first.

    The images stand in a temporary file that all loading processes map: the first to load an image writes it, the
    others read it from the operating system's page cache. ``N * H * W * 3`` bytes; the file goes with this object.

    Args:
        source: where the images come from.
        image_size: (height, width) that they are kept in.
    """

    def __init__(self, source: ImageSource, image_size: tuple[int, int]) -> None:
        self.source, self.image_size = source, image_size
        handle, self.path = tempfile.mkstemp(prefix="facerec-images-")
        # Sparse: no block is taken before an image is written.
        os.truncate(handle, len(source) * self._record_bytes)
        os.close(handle)
        self._end = weakref.finalize(self, _remove, self.path, os.getpid())

    def __len__(self) -> int:
        return len(self.source)

    def name(self, index: int) -> str:
        return self.source.name(index)

    def fingerprint(self) -> str:
        return self.source.fingerprint()

    def load(self, index: int) -> np.ndarray:
        """uint8 RGB ``(*image_size, 3)``."""
        record = self._records[index]
        if not record[-1]:
            record[:-1] = resize(self.source.load(index), self.image_size).ravel()
            # Set last: whoever sees the mark sees the whole image.
            record[-1] = 1
        return record[:-1].reshape(*self.image_size, 3).copy()

    @property
    def _record_bytes(self) -> int:
        return self.image_size[0] * self.image_size[1] * 3 + 1

    @cached_property
    def _records(self) -> np.ndarray:
        shape = (len(self.source), self._record_bytes)
        return np.memmap(self.path, np.uint8, "r+", shape=shape)

    def __getstate__(self) -> dict[str, object]:
        """What a loading process gets: the path, not the map, nor the duty to remove the file."""
        return {key: value for key, value in self.__dict__.items() if key not in ("_end", "_records")}


def _remove(path: str, owner: int) -> None:
    # A forked loading process has this duty too, and must not take the file from its owner.
    if os.getpid() == owner:
        os.unlink(path)
