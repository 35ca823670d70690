"""The training list without the images that a check leaves out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facerec.data.readers.train_lists import write_train_list
from facerec.data.source import LabelledSource
from facerec.errors import InputError


@dataclass(frozen=True, eq=False)
class CleanedList:
    """The images that are ``kept``, ascending indices int64 ``(K,)`` into ``source``."""

    source: LabelledSource
    kept: np.ndarray

    def write(self, path: Path) -> str:
        """Write the list and return a sentence on it; raise `InputError` if no image is left."""
        if not len(self.kept):
            raise InputError(f"{path} is not written, since no image is left: raise subcentre_angle")
        write_train_list(self.source, self.kept, path)
        images = f"{len(self.kept):,} of {len(self.source):,} images"
        people = len(np.unique(self.source.labels[self.kept]))
        return f"{path} lists {images}, of {people:,} of {self.source.num_identities:,} identities"
