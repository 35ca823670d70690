"""What the results of a run hold that differs between tasks: the sets, their summaries, and the files of scores."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from facerec.data.datamodule import FaceDataModule
from facerec.data.fundus.masked_source import MaskedSource
from facerec.data.fundus.segmentation_datamodule import SegmentationDataModule
from facerec.data.image_datamodule import ImageDataModule
from facerec.data.shared_people import Shared, shared_with
from facerec.runs.mask_scores import save_mask_scores
from facerec.runs.run_results import learner_of
from facerec.runs.scores import save_scores
from facerec.runs.training_overlap import overlap
from facerec.segmentation.mask_results import MaskResult
from facerec.verification.verify import VerificationResult

Data = TypeVar("Data", bound=ImageDataModule)


class TaskResults(ABC, Generic[Data]):
    """Of one run.

    Args:
        data: what was evaluated on, set up to fit.
        is_first: whether this is the first of several devices, which alone writes results.
    """

    def __init__(self, data: Data, is_first: bool = True) -> None:
        self.data = data

    def described(self) -> dict[str, Any]:
        """Return number and fingerprint of the training images, and what identifies each set, as plain values."""
        return {"train": self.trained_on(), "benchmarks": self.sets()}

    @abstractmethod
    def trained_on(self) -> dict[str, Any]: ...

    @abstractmethod
    def sets(self) -> dict[str, dict[str, Any]]:
        """Return what identifies each set by its name, with its ``fingerprint``, as plain values."""

    @abstractmethod
    def summaries(self, results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the evaluator's ``results`` of each set as plain values."""

    @abstractmethod
    def save(self, path: Path, results: Mapping[str, Any]) -> None:
        """Write the scores, from which runs are compared."""


class RecognitionResults(TaskResults[FaceDataModule]):
    """Pairs of benchmarks, and what these share with the training set."""

    def __init__(self, data: FaceDataModule, is_first: bool = True) -> None:
        super().__init__(data)
        self.shared: dict[str, Shared] = {}
        if is_first:
            assert data.train_source is not None
            self.shared = shared_with(data.train_source, data.opened_benchmarks)

    def trained_on(self) -> dict[str, Any]:
        train = self.data.train_source
        assert train is not None
        return {"images": len(train), "identities": train.num_identities, "fingerprint": train.fingerprint()}

    def sets(self) -> dict[str, dict[str, Any]]:
        return benchmark_fingerprints(self.data)

    def summaries(self, results: Mapping[str, VerificationResult]) -> dict[str, dict[str, Any]]:
        return {
            name: result.summary() | (overlap(result, self.shared[name]) if name in self.shared else {})
            for name, result in results.items()
        }

    def save(self, path: Path, results: Mapping[str, VerificationResult]) -> None:
        save_scores(path, results, self.data.opened_benchmarks, self.shared)


class SegmentationResults(TaskResults[SegmentationDataModule]):
    """Images with masks of several domains, of which one is unseen."""

    def trained_on(self) -> dict[str, Any]:
        train = self.data.train_source
        assert train is not None
        return {"images": len(train), "domains": _images_of_domains(train), "fingerprint": train.fingerprint()}

    def sets(self) -> dict[str, dict[str, Any]]:
        return {each.name: {"images": each.num_images, "fingerprint": each.fingerprint()} for each in self.data.sets}

    def summaries(self, results: Mapping[str, MaskResult]) -> dict[str, dict[str, Any]]:
        return {name: result.summary() for name, result in results.items()}

    def save(self, path: Path, results: Mapping[str, MaskResult]) -> None:
        save_mask_scores(path, results, self.data.sets)


def _images_of_domains(source: MaskedSource) -> dict[str, int]:
    numbers, counts = np.unique(source.domains, return_counts=True)
    return {source.domain_names[number]: int(count) for number, count in zip(numbers, counts, strict=True)}


def benchmark_fingerprints(data: FaceDataModule) -> dict[str, dict[str, Any]]:
    """Return number and fingerprint of the pairs per benchmark of ``data``, which is set up."""
    return {b.name: {"pairs": len(b), "fingerprint": b.fingerprint()} for b in data.opened_benchmarks}


_KINDS: dict[str, type[TaskResults[Any]]] = {"Recognizer": RecognitionResults, "Segmenter": SegmentationResults}


def task_results(config: dict[str, Any], data: ImageDataModule, is_first: bool = True) -> TaskResults[Any]:
    """Return what the results of a run of ``config`` hold of its ``data``."""
    return _KINDS[learner_of(config)](data, is_first)
