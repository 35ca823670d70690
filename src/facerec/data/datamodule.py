"""The base of the data modules of faces: one training set and any number of benchmarks."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from lightning_utilities.core.rank_zero import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader

from facerec.checks import check_choice, check_number_or_share, check_seed, check_transforms
from facerec.console import log
from facerec.data.augmentation.random_numbers import Transform, augment_batch, augment_images
from facerec.data.benchmark_folds import one_sided, refuse_unverifiable
from facerec.data.cache import pack
from facerec.data.filled_cache import FilledDataset, packed_or_filled
from facerec.data.held_out import HELD_OUT, split_identities
from facerec.data.image_datamodule import ImageDataModule
from facerec.data.loading import ImageDataset, IndexedImages, flip_at_random, normalise, refuse_equal_images
from facerec.data.readers.folders import with_unlisted
from facerec.data.sampling import SAMPLINGS
from facerec.data.source import (
    Benchmark,
    ImageSource,
    LabelledSource,
    OnProblem,
    digest,
    refuse,
    refuse_missing,
    refuse_one_identity,
)
from facerec.data.statistics import position_statistics
from facerec.data.subset import Subset
from facerec.data.teacher import Images, Teacher, refuse_other_teacher
from facerec.data.teacher_cache import EmbeddingTable, TaughtImages
from facerec.errors import InputError
from facerec.files import CACHE, in_home


@dataclass(kw_only=True, eq=False, repr=False)
class FaceDataModule(ImageDataModule):
    """Loads training batches ``(images, labels)`` and benchmark batches ``(images, indices)`` of distinct images.

    With a teacher, training batches are ``(images, labels, embeddings)``, the teacher's of the images as they are.

    On the host, images are uint8 ``(B, H, W, 3)``; on the device they become float32 ``(B, 3, H, W)`` in [-1, 1],
    randomly flipped in training.

    Args:
        benchmarks: names of the verification sets, at least one.
        horizontal_flip: flip half of the training images.
        sampling: "images": each training image once per epoch; "identities": as many samples, each an identity and then
            one of its images, with replacement.
        held_out_identities: number of identities, or a fraction below 1, that are verified as benchmark ``held_out``
            instead of trained on; the best epoch is then chosen on it alone; 0: none.
        held_out_seed: seed of these identities and their pairs, the same for all seeds of a comparison.
        test_augmentation: transforms of the verified images; an image is changed in the same way in every run.
        cache: folder for the decoded and resized pixels of all images, ``H * W * 3`` bytes each, used by all runs and
            written by the first, those of the training images during its first epoch; None: images are decoded whenever
            they are used.
    """

    benchmarks: Sequence[str]
    horizontal_flip: bool = True
    sampling: str = "images"
    held_out_identities: int | float = 0
    held_out_seed: int = 0
    test_augmentation: Mapping[str, Transform] = field(default_factory=dict)
    cache: str | None = None
    whole_folders: bool = field(init=False, default=False)  # also load a benchmark's images that no pair names
    train_source: LabelledSource | None = field(init=False, default=None)
    held_out_settings = "data.held_out_identities and data.held_out_seed"
    opened_benchmarks: list[Benchmark] = field(init=False, default_factory=list)
    teacher: dict[str, Any] | None = field(init=False, default=None)  # what `Teacher.described` returns
    _embeddings: EmbeddingTable | None = field(init=False, default=None)
    _benchmarks: list[IndexedImages] = field(init=False, default_factory=list)
    _states: dict[int, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_transforms("train_augmentation", self.train_augmentation)
        self.cache = in_home(self.cache)
        if self.cache == "":
            raise ValueError("cache is '', which names no folder: give one, or null to decode every time")
        if isinstance(self.benchmarks, str):
            raise ValueError(f"benchmarks must be a list of names, got {self.benchmarks!r}: write [{self.benchmarks}]")
        check_choice("sampling", self.sampling, SAMPLINGS)
        check_number_or_share("held_out_identities", self.held_out_identities)
        check_seed("held_out_seed", self.held_out_seed)
        check_transforms("test_augmentation", self.test_augmentation)
        if HELD_OUT in self.benchmarks:
            raise ValueError(f"benchmarks names {HELD_OUT!r}, which held_out_identities adds: give it another name")
        if len(set(self.benchmarks)) < len(self.benchmarks):
            raise ValueError(f"benchmarks names one of {list(self.benchmarks)} twice: name each once")

    @abstractmethod
    def open_train(self, on_problem: OnProblem = refuse) -> LabelledSource:
        """Read the index of the training set. ``on_problem`` is called for each unusable line of a list and each
        unusable identity folder; if it returns, the others are read. Raises `InputError` if nothing is left."""

    @abstractmethod
    def open_benchmark(self, name: str, on_problem: OnProblem = refuse) -> Benchmark:
        """Read the pairs of benchmark ``name``. ``on_problem`` is called for each unusable line of the pair list.
        Raises `InputError` if something is missing."""

    def setup(self, stage: str) -> None:
        """Read every index, so that missing files are reported before the first step; then fill the cache.

        That of the training images is filled while the first epoch is trained on, unless there are several devices.
        """
        if not self.opened_benchmarks:
            self.opened_benchmarks = self._open_benchmarks()
        # Without a benchmark, the held-out identities are all that can be verified.
        if (stage == "fit" or not self.benchmarks) and self.train_source is None:
            self.train_source = self._open_train()
        for benchmark in self.opened_benchmarks[len(self._benchmarks) :]:
            self._benchmarks.append(self._dataset(benchmark.images, np.arange(len(benchmark.images))))
        if stage == "fit" and self.train_source is not None and self._train is None:
            self._train = self._dataset(self.train_source, self.train_source.labels, packed_or_filled)

    @property
    def num_identities(self) -> int | None:
        return None if self.train_source is None else self.train_source.num_identities

    def evaluated_sets(self) -> list[Benchmark]:
        return self.opened_benchmarks

    def refuse_equal_images(self) -> None:
        for benchmark, dataset in zip(self.opened_benchmarks, self._benchmarks, strict=True):
            refuse_equal_images(dataset, f"benchmark {benchmark.name}")
        if self._train is not None:
            refuse_equal_images(self._train, "the training set")

    def _open_benchmarks(self) -> list[Benchmark]:
        if not self.benchmarks and not self.held_out_identities:
            remedy = "name a set to choose the best epoch on, as in [lfw], or set data.held_out_identities"
            raise InputError(f"data.benchmarks is empty: {remedy}")
        opened = [self.open_benchmark(name) for name in self.benchmarks]
        for benchmark in opened:
            refuse_missing(benchmark.images)
            refuse_unverifiable(benchmark)
            if sentence := one_sided(benchmark):
                rank_zero_only(log)(sentence)
        return [with_unlisted(benchmark) for benchmark in opened] if self.whole_folders else opened

    def _open_train(self) -> LabelledSource:
        train = self.open_train()
        refuse_missing(train)
        if self.held_out_identities:
            train, held_out = split_identities(train, self.held_out_identities, self.held_out_seed)
            self.opened_benchmarks.append(held_out)
        refuse_one_identity(train)
        self.refuse_less_than_a_batch(train)
        return train

    def learn_from(self, teacher: Teacher) -> None:
        """Add the teacher's embeddings to the training batches; the data module is set up to fit.

        They are computed once, with a progress bar on standard error, and cached. Raises `InputError` as
        `Teacher.embeddings` does.
        """
        assert self.train_source is not None
        images = Images(self.train_source, self._state(self.train_source), self.num_workers or 0)
        self._embeddings = teacher.embeddings(images, Path(self.cache or CACHE))

    def train_dataloader(self) -> DataLoader:
        assert self._train is not None and self.trainer is not None
        if isinstance(self._train, FilledDataset):
            if self.trainer.world_size > 1:  # each would decode a part of them
                self._train = pack(self._train.images, self._train.path.parent, self.num_workers or 0)
            else:
                self._train.begin()
        taught = self._train if self._embeddings is None else TaughtImages(self._train, self._embeddings)
        return self.training_loader(taught, taught.targets if self.sampling == "identities" else None)

    def teardown(self, stage: str) -> None:
        """Finish a cache that the training has begun."""
        if isinstance(self._train, FilledDataset):
            self._train.finish()

    def val_dataloader(self) -> list[DataLoader]:
        return [self.verification_loader(dataset, 128) for dataset in self._benchmarks]

    def state_dict(self) -> dict[str, Any]:
        """Return the fingerprint of the training set, and the teacher if there is one, for the checkpoint."""
        return super().state_dict() | ({} if self.teacher is None else {"teacher": self.teacher})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raise `InputError` if the checkpoint was trained on other images, of which some may be held out now, or with
        another teacher."""
        super().load_state_dict(state_dict)
        refuse_other_teacher(state_dict.get("teacher"), self.teacher)

    def position_statistics(self, cache: Path) -> Tensor:
        assert self.train_source is not None and self._train is not None
        fingerprint = digest([self.train_source.fingerprint(), self._state(self.train_source)])
        return position_statistics(self._train, fingerprint, self.horizontal_flip, cache, self.num_workers or 0)

    def _dataset(
        self, source: ImageSource, targets: np.ndarray, kept: Callable[..., IndexedImages] = pack
    ) -> IndexedImages:
        size = (self.image_size[0], self.image_size[1])
        if self.cache is None:
            return ImageDataset(source, targets, size)
        return kept(ImageDataset(source, targets, size, self._state(source)), Path(self.cache), self.num_workers or 0)

    def _state(self, source: ImageSource) -> str:
        """Return the modification digest of ``source``, computed once per run; a `Subset` shares its parent's."""
        while isinstance(source, Subset):
            source = source.source
        if id(source) not in self._states:
            self._states[id(source)] = source.state()
        return self._states[id(source)]

    def on_after_batch_transfer(self, batch: tuple[Tensor, ...], dataloader_idx: int) -> tuple[Tensor, ...]:
        """Normalise and augment a batch on the device."""
        images, targets, *taught = normalise(batch[0]), *batch[1:]
        if seed := self.seed_of_batch():
            images = flip_at_random(images, seed) if self.horizontal_flip else images
            images = augment_batch(images, self.train_augmentation, seed)
        elif self.test_augmentation:
            name = self.opened_benchmarks[dataloader_idx].name
            images = augment_images(images, self.test_augmentation, targets, name)
        return images, targets, *taught
