"""One pass over all images: worker processes decode each and return only its features."""

import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import numpy as np
from rich.console import Console
from rich.progress import Progress

from facerec.data.loading import in_workers
from facerec.data.source import ImageSource, LabelledSource
from facerec.doctor.findings import TRAIN, benchmark_part
from facerec.doctor.image_hashes import FEATURES, measure
from facerec.errors import InputError


@dataclass(frozen=True, eq=False)
class Part:
    """The training set or a benchmark, with its measurements.

    Attributes:
        title: name for people.
        source: the images.
        train: the same source if this is the training set, otherwise None.
        features: `FEATURES` ``(N,)``, all zero for an unreadable image.
        reasons: a sentence for each unreadable image, by its index.
    """

    title: str
    source: ImageSource
    train: LabelledSource | None
    features: np.ndarray
    reasons: dict[int, str]

    def __len__(self) -> int:
        return len(self.features)

    @property
    def usable(self) -> np.ndarray:
        """Whether each image is readable and has more than one colour, bool ``(N,)``."""
        return self.features["readable"] & ~self.features["flat"]

    def identity(self, index: int) -> str:
        """Return the name of a training image's identity."""
        assert self.train is not None
        return self.train.identity_name(int(self.train.labels[index]))


def survey(train: LabelledSource | None, benchmarks: Sequence[tuple[str, ImageSource]], num_workers: int) -> list[Part]:
    """Measure all images of the training set and of ``benchmarks`` (name, images); returns the parts in this order.

    A progress bar is shown on standard error.
    """
    opened: list[tuple[str, ImageSource, LabelledSource | None]] = [
        (benchmark_part(name), source, None) for name, source in benchmarks
    ]
    if train is not None:
        opened.insert(0, (TRAIN, train, train))
    if not opened:
        return []
    features = np.zeros(sum(len(source) for _, source, _ in opened), FEATURES)
    reasons = dict(_fill(features, [source for _, source, _ in opened], num_workers))
    parts, start = [], 0
    for title, source, labelled in opened:
        end = start + len(source)
        own = {index - start: reason for index, reason in reasons.items() if start <= index < end}
        parts.append(Part(title, source, labelled, features[start:end], own))
        start = end
    return parts


def _fill(features: np.ndarray, sources: Sequence[ImageSource], num_workers: int) -> Iterator[tuple[int, str]]:
    """Fill in the ``features`` of all images; yields index and reason of each unreadable one."""
    load = partial(_measure, sources, [0, *accumulate(map(len, sources))])  # runs in the workers
    loader = in_workers(load, range(len(features)), 64, num_workers)
    with Progress(console=Console(file=sys.stderr)) as progress:
        task, start = progress.add_task("decoding images", total=len(features)), 0
        for measured, reasons in loader:
            features[start : start + len(measured)] = measured
            yield from ((start + row, reason) for row, reason in enumerate(reasons) if reason)
            start += len(measured)
            progress.advance(task, len(measured))


def _measure(sources: Sequence[ImageSource], starts: list[int], indices: list[int]) -> tuple[np.ndarray, list[str]]:
    """Measure images at ``indices`` in the concatenated sources; returns a reason, or an empty text, for each."""
    features, reasons = np.zeros(len(indices), FEATURES), [""] * len(indices)
    for row, index in enumerate(indices):
        part = bisect_right(starts, index) - 1
        try:
            features[row] = measure(sources[part].load(index - starts[part]))
        except InputError as error:
            reasons[row] = str(error)
    return features, reasons
