"""One walk over all images: each is decoded once, in worker processes, and only its features leave them."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import Progress
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from facerec.data.decode import loading_processes
from facerec.data.source import ImageSource, LabelledSource
from facerec.doctor.findings import TRAIN, benchmark_part
from facerec.doctor.image_hashes import FEATURES, measure
from facerec.errors import InputError

_Measured = tuple[np.ndarray, list[str]]


@dataclass(frozen=True, eq=False)
class Part:
    """The training set or a benchmark, and what was measured of it.

    Attributes:
        title: what a person calls it.
        source: its images.
        train: the same source where this is the training set, whose images have labels.
        features: `FEATURES` ``(N,)``, all zero where an image is unreadable.
        reasons: a sentence for each unreadable image, by its number.
    """

    title: str
    source: ImageSource
    train: LabelledSource | None
    features: np.ndarray
    reasons: dict[int, str]

    def __len__(self) -> int:
        return len(self.features)

    def identity(self, index: int) -> str:
        """The name of a training image's identity."""
        assert self.train is not None
        return self.train.identity_name(int(self.train.labels[index]))


class _Measurements(Dataset[_Measured]):
    """The features of a source's images, and why those without are unreadable; the pixels stay in the worker."""

    def __init__(self, source: ImageSource) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[np.ndarray, str]:
        try:
            return measure(self.source.load(index)), ""
        except InputError as error:
            return np.zeros((), FEATURES), str(error)


def survey(train: LabelledSource | None, benchmarks: Sequence[tuple[str, ImageSource]], num_workers: int) -> list[Part]:
    """Measure all images of the training set and of the ``benchmarks``, in this order, with a progress bar on standard
    error."""
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
        own = {number - start: reason for number, reason in reasons.items() if start <= number < end}
        parts.append(Part(title, source, labelled, features[start:end], own))
        start = end
    return parts


def _fill(features: np.ndarray, sources: Sequence[ImageSource], num_workers: int) -> Iterator[tuple[int, str]]:
    """Write the ``features`` of all images and give number and reason of those that are unreadable."""
    dataset = ConcatDataset(_Measurements(source) for source in sources)
    loader = DataLoader(dataset, batch_size=64, collate_fn=_collate, **loading_processes(num_workers))
    with Progress(console=Console(file=sys.stderr)) as progress:
        task, start = progress.add_task("decoding images", total=len(dataset)), 0
        for measured, reasons in loader:
            features[start : start + len(measured)] = measured
            yield from ((start + place, reason) for place, reason in enumerate(reasons) if reason)
            start += len(measured)
            progress.advance(task, len(measured))


def _collate(items: list[tuple[np.ndarray, str]]) -> _Measured:
    return np.stack([features for features, _ in items]), [reason for _, reason in items]
