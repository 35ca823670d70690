"""A walk over all data before a long run: every list is read, every image decoded, every fault collected."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
from rich.console import Console
from rich.progress import Progress
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from facerec.data.datamodule import FaceDataModule
from facerec.data.source import ImageSource
from facerec.errors import InputError

_Opened = TypeVar("_Opened")


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """What `check_data` found.

    Attributes:
        images: in the training set.
        identities: in the training set.
        images_per_identity: the smallest and the largest number; None without a training set.
        pairs: number of pairs of each benchmark that could be opened.
        image_sizes: number of readable images of each size ``HEIGHTxWIDTH``, the commonest first.
        unreadable: ``image``, its name, and ``reason``, a sentence, for each image that cannot be decoded.
        problems: a sentence for each part that could not be opened.
    """

    images: int
    identities: int
    images_per_identity: tuple[int, int] | None
    pairs: dict[str, int]
    image_sizes: dict[str, int]
    unreadable: list[dict[str, str]]
    problems: list[str]

    @property
    def is_sound(self) -> bool:
        return not self.unreadable and not self.problems


class _Finding(NamedTuple):
    image: str
    size: str
    reason: str  # why the image is unreadable, empty when it is not


class _Findings(Dataset[_Finding]):
    """What decoding image i of a source finds; the pixels stay in the worker."""

    def __init__(self, source: ImageSource) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> _Finding:
        try:
            height, width, _ = self.source.load(index).shape
        except InputError as error:
            return _Finding(self.source.name(index), "", str(error))
        return _Finding("", f"{height}x{width}", "")


def check_data(module: FaceDataModule) -> DataReport:
    """Open every part of ``module`` and decode each of its images in worker processes, with a progress bar on standard
    error.

    What is wrong with one part or image keeps nothing else from being looked at. An image that several parts hold, such
    as cfp_ff and cfp_fp, is decoded for each and reported once.
    """
    problems: list[str] = []
    train = _open(module.open_train, problems)
    opened = [_open(partial(module.open_benchmark, name), problems) for name in module.benchmarks]
    benchmarks = [benchmark for benchmark in opened if benchmark is not None]
    sources: list[ImageSource] = [benchmark.images for benchmark in benchmarks]
    sizes, unreadable = _decode_all(sources if train is None else [train, *sources], module.num_workers or 0)
    return DataReport(
        images=0 if train is None else len(train),
        identities=0 if train is None else train.num_identities,
        images_per_identity=None if train is None else _smallest_and_largest(train.labels),
        pairs={benchmark.name: len(benchmark) for benchmark in benchmarks},
        image_sizes=sizes,
        unreadable=unreadable,
        problems=problems,
    )


def _open(opener: Callable[[], _Opened], problems: list[str]) -> _Opened | None:
    try:
        return opener()
    except InputError as error:
        problems.append(str(error))
        return None


def _smallest_and_largest(labels: np.ndarray) -> tuple[int, int]:
    counts = np.bincount(labels)
    return int(counts.min()), int(counts.max())


def _decode_all(sources: Sequence[ImageSource], num_workers: int) -> tuple[dict[str, int], list[dict[str, str]]]:
    if not sources:
        return {}, []
    dataset = ConcatDataset(_Findings(source) for source in sources)
    loader = DataLoader(dataset, batch_size=64, num_workers=num_workers, collate_fn=list)
    sizes: Counter[str] = Counter()
    reasons: dict[_Finding, None] = {}  # a dict, for its order
    with Progress(console=Console(file=sys.stderr)) as progress:
        task = progress.add_task("decoding images", total=len(dataset))
        for findings in loader:
            sizes.update(finding.size for finding in findings if not finding.reason)
            reasons.update({finding: None for finding in findings if finding.reason})
            progress.advance(task, len(findings))
    return dict(sizes.most_common()), [{"image": image, "reason": reason} for image, _, reason in reasons]
