"""The base of all data modules: one training set and any number of benchmarks, on any number of devices."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_utilities.core.rank_zero import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader

from facerec.checks import check_choice, check_number_or_share, check_seed, check_transforms
from facerec.console import log
from facerec.data.augmentation.random_numbers import Transform, augment_batch, augment_images
from facerec.data.benchmark_folds import one_sided, refuse_unverifiable
from facerec.data.cache import pack
from facerec.data.held_out import HELD_OUT, split_identities
from facerec.data.loading import (
    SAMPLINGS,
    ImageDataset,
    IndexedImages,
    Share,
    UniformIdentities,
    UniformImages,
    flip_at_random,
    image_loader,
    normalise,
    refuse_equal_images,
)
from facerec.data.readers.folders import with_unlisted
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
from facerec.process import available_cores, refuse_too_many

_MOST_WORKERS = 8


@dataclass(kw_only=True, eq=False, repr=False)
class FaceDataModule(pl.LightningDataModule, ABC):
    """Loads training batches ``(images, labels)`` and benchmark batches ``(images, indices)`` of distinct images.

    With a teacher, training batches are ``(images, labels, embeddings)``, the teacher's of the images as they are.

    On the host, images are uint8 ``(B, H, W, 3)``; on the device they become float32 ``(B, 3, H, W)`` in [-1, 1],
    randomly flipped in training.

    Args:
        benchmarks: names of the verification sets, at least one.
        image_size: (height, width) that every image is resized to.
        global_batch_size: batch size over all devices together.
        num_workers: number of workers per device; None: one per available core, at most 8.
        horizontal_flip: flip half of the training images.
        sampling: "images": each training image once per epoch; "identities": as many samples, each an identity and then
            one of its images, with replacement.
        held_out_identities: number of identities, or a fraction below 1, that are verified as benchmark ``held_out``
            instead of trained on; the best epoch is then chosen on it alone; 0: none.
        held_out_seed: seed of these identities and their pairs, the same for all seeds of a comparison.
        train_augmentation: transforms of the training images by name, applied after the flip.
        test_augmentation: transforms of the verified images; an image is changed in the same way in every run.
        cache: folder for the decoded and resized pixels of all images, ``H * W * 3`` bytes each, used by all runs;
            None: images are decoded whenever they are used.
        seed: seed of the order and the flips.
    """

    benchmarks: Sequence[str]
    image_size: Sequence[int] = (96, 96)
    global_batch_size: int = 512
    num_workers: int | None = None
    horizontal_flip: bool = True
    sampling: str = "images"
    held_out_identities: int | float = 0
    held_out_seed: int = 0
    train_augmentation: Mapping[str, Transform] = field(default_factory=dict)
    test_augmentation: Mapping[str, Transform] = field(default_factory=dict)
    cache: str | None = None
    seed: int = 1
    whole_folders: bool = field(init=False, default=False)  # also load a benchmark's images that no pair names
    train_source: LabelledSource | None = field(init=False, default=None)
    opened_benchmarks: list[Benchmark] = field(init=False, default_factory=list)
    teacher: dict[str, Any] | None = field(init=False, default=None)  # what `Teacher.described` returns
    _train: IndexedImages | None = field(init=False, default=None)
    _embeddings: EmbeddingTable | None = field(init=False, default=None)
    _benchmarks: list[IndexedImages] = field(init=False, default_factory=list)
    _train_fingerprint: str | None = field(init=False, default=None)
    _states: dict[int, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        if not isinstance(self.global_batch_size, int) or self.global_batch_size < 2:
            raise ValueError(f"global_batch_size must be an integer of at least 2, got {self.global_batch_size!r}")
        self.cache = in_home(self.cache)
        if self.cache == "":
            raise ValueError("cache is '', which names no folder: give one, or null to decode every time")
        if isinstance(self.benchmarks, str):
            raise ValueError(f"benchmarks must be a list of names, got {self.benchmarks!r}: write [{self.benchmarks}]")
        if self.num_workers is None:
            self.num_workers = min(_MOST_WORKERS, available_cores())
        if not isinstance(self.num_workers, int) or self.num_workers < 0:
            raise ValueError(f"num_workers must be null or an integer of at least 0, got {self.num_workers!r}")
        refuse_too_many(self.num_workers, "data.num_workers", ", or null, one per core")
        check_choice("sampling", self.sampling, SAMPLINGS)
        check_number_or_share("held_out_identities", self.held_out_identities)
        check_seed("held_out_seed", self.held_out_seed)
        check_seed("seed", self.seed)
        check_transforms("train_augmentation", self.train_augmentation)
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
        """Read every index, so that missing files are reported before the first step; then fill the cache."""
        if not self.opened_benchmarks:
            self.opened_benchmarks = self._open_benchmarks()
        # Without a benchmark, the held-out identities are all that can be verified.
        if (stage == "fit" or not self.benchmarks) and self.train_source is None:
            self.train_source = self._open_train()
        for benchmark in self.opened_benchmarks[len(self._benchmarks) :]:
            self._benchmarks.append(self._dataset(benchmark.images, np.arange(len(benchmark.images))))
        if stage == "fit" and self.train_source is not None and self._train is None:
            self._train = self._dataset(self.train_source, self.train_source.labels)

    def refuse_equal_images(self) -> None:
        """Raise `InputError` for a training set or a benchmark, of those set up, whose images are all the same."""
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
        if len(train) < self.global_batch_size:
            size = f"data.global_batch_size={self.global_batch_size}"
            raise InputError(f"the training set has {len(train)} images, fewer than one batch of {size}: lower it")
        return train

    def batches_per_epoch(self, devices: int) -> int:
        """Return the number of batches that each device trains on in an epoch; the data module is set up to fit."""
        assert self.train_source is not None
        return -(-len(self.train_source) // devices) // max(1, self.global_batch_size // devices)

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
        devices = self.trainer.world_size
        if self.global_batch_size % devices:
            size = f"data.global_batch_size={self.global_batch_size}"
            raise InputError(f"{size} cannot be divided by {devices} devices: use a multiple of {devices}")
        taught = self._train if self._embeddings is None else TaughtImages(self._train, self._embeddings)
        return self._loader(taught, self.global_batch_size // devices, training=True)

    def val_dataloader(self) -> list[DataLoader]:
        return [self._loader(dataset, 128, training=False) for dataset in self._benchmarks]

    def state_dict(self) -> dict[str, Any]:
        """Return the fingerprint of the training set, and the teacher if there is one, for the checkpoint."""
        if self.train_source is not None and self._train_fingerprint is None:
            self._train_fingerprint = self.train_source.fingerprint()  # slow for millions of names
        teacher = {} if self.teacher is None else {"teacher": self.teacher}
        return {"train_fingerprint": self._train_fingerprint, **teacher}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raise `InputError` if the checkpoint was trained on other images, of which some may be held out now, or with
        another teacher."""
        theirs, ours = state_dict["train_fingerprint"], self.state_dict()["train_fingerprint"]
        if theirs is not None and ours is not None and theirs != ours:
            problem = f"the checkpoint was trained on other images (fingerprint {theirs}, this run's {ours})"
            settings = "the checkpoint's data, data.held_out_identities and data.held_out_seed"
            raise InputError(f"{problem}: use {settings}, or start without resume")
        refuse_other_teacher(state_dict.get("teacher"), self.teacher)

    def position_statistics(self, cache: Path) -> Tensor:
        """Return the training images' mean and standard deviation at each position, ``(2, 3, H, W)``."""
        assert self.train_source is not None and self._train is not None
        fingerprint = digest([self.train_source.fingerprint(), self._state(self.train_source)])
        return position_statistics(self._train, fingerprint, self.horizontal_flip, cache, self.num_workers or 0)

    def _dataset(self, source: ImageSource, targets: np.ndarray) -> IndexedImages:
        size = (self.image_size[0], self.image_size[1])
        if self.cache is None:
            return ImageDataset(source, targets, size)
        return pack(ImageDataset(source, targets, size, self._state(source)), Path(self.cache), self.num_workers or 0)

    def _state(self, source: ImageSource) -> str:
        """Return the modification digest of ``source``, computed once per run; a `Subset` shares its parent's."""
        while isinstance(source, Subset):
            source = source.source
        if id(source) not in self._states:
            self._states[id(source)] = source.state()
        return self._states[id(source)]

    def _loader(self, dataset: IndexedImages, batch_size: int, *, training: bool) -> DataLoader:
        replicas, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        if training and self.sampling == "identities":
            sampler = UniformIdentities(dataset.targets, replicas, rank, self.seed)
        else:
            sampler = (UniformImages if training else Share)(len(dataset), replicas, rank, self.seed)
        if self.trainer and training:
            # Lightning sets the epoch too, but after a resume only when the workers have started.
            progress = self.trainer.fit_loop.epoch_progress.current
            sampler.set_epoch(progress.processed)  # pyright: ignore[reportAttributeAccessIssue]
        return image_loader(
            dataset,
            batch_size,
            self.num_workers or 0,
            keep_workers=training,
            sampler=sampler,
            drop_last=training,
            pin_memory=torch.cuda.is_available(),
        )

    def on_after_batch_transfer(self, batch: tuple[Tensor, ...], dataloader_idx: int) -> tuple[Tensor, ...]:
        """Normalise and augment a batch on the device."""
        images, targets, *taught = normalise(batch[0]), *batch[1:]
        trainer = self.trainer
        if trainer is not None and trainer.training:
            step = (trainer.current_epoch, trainer.fit_loop.epoch_loop.batch_idx + 1)
            seed = (self.seed, *step, trainer.global_rank)
            images = flip_at_random(images, seed) if self.horizontal_flip else images
            images = augment_batch(images, self.train_augmentation, seed)
        elif self.test_augmentation:
            name = self.opened_benchmarks[dataloader_idx].name
            images = augment_images(images, self.test_augmentation, targets, name)
        return images, targets, *taught
