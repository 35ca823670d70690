"""A source of images that can be told apart."""

import numpy as np

from facerec.data.source import ImageSource


class CountingSource(ImageSource):
    """Image i is filled with i + 1, twice as large as it is kept; counts how often each is loaded."""

    def __init__(self, number: int) -> None:
        self.loads = [0] * number
        self.changed = 0

    def __len__(self) -> int:
        return len(self.loads)

    def load(self, index: int) -> np.ndarray:
        self.loads[index] += 1
        return np.full((8, 12, 3), index + 1, np.uint8)

    def name(self, index: int) -> str:
        return f"image {index}"

    def fingerprint(self) -> str:
        return "abc"

    def state(self) -> str:
        return f"changed {self.changed} times"
