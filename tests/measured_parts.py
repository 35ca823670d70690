"""Parts of a survey made of images in memory."""

from collections.abc import Sequence

import numpy as np

from facerec.data.source import LabelledSource
from facerec.doctor.image_hashes import FEATURES, measure
from facerec.doctor.survey import Part


class Pictures(LabelledSource):
    """A `LabelledSource` of images in memory: ``identities`` name each image's, in any order."""

    def __init__(self, images: Sequence[np.ndarray], names: Sequence[str], identities: Sequence[str] = ()) -> None:
        self.images, self.names = list(images), list(names)
        self._identities, labels = np.unique(np.array(list(identities), str), return_inverse=True)
        self.labels, self.num_identities = labels.astype(np.int64), len(self._identities)

    def __len__(self) -> int:
        return len(self.images)

    def load(self, index: int) -> np.ndarray:
        return self.images[index]

    def name(self, index: int) -> str:
        return self.names[index]

    def identity_name(self, label: int) -> str:
        return str(self._identities[label])

    def reference(self, index: int) -> str:
        return self.names[index]

    def fingerprint(self) -> str:
        return ""

    def state(self) -> str:
        return ""


def training_part(images: Sequence[np.ndarray], identities: Sequence[str]) -> Part:
    """Images ``0, 1, ...`` of these identities."""
    source = Pictures(images, [str(number) for number in range(len(images))], identities)
    return Part("training set", source, source, _features(images), {})


def benchmark_part(images: Sequence[np.ndarray], name: str = "known") -> Part:
    """Images ``NAME/0``, ``NAME/1``, ..."""
    source = Pictures(images, [f"{name}/{number}" for number in range(len(images))])
    return Part(f"benchmark {name}", source, None, _features(images), {})


def _features(images: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([measure(image) for image in images], FEATURES)
