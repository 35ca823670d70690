"""Loading: one training set, any number of benchmarks, on any number of devices."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from facerec.checks import check_choice, check_number_or_share, check_seed, check_transforms
from facerec.data.augmentation.random_numbers import Transform, augment_batch, augment_images
from facerec.data.cache import pack
from facerec.data.held_out import HELD_OUT, split_identities
from facerec.data.loading import (
    SAMPLINGS,
    ImageDataset,
    PackedDataset,
    Share,
    UniformIdentities,
    UniformImages,
    flip_at_random,
    image_loader,
    normalise,
)
from facerec.data.source import Benchmark, ImageSource, LabelledSource, OnProblem, digest, refuse, refuse_missing
from facerec.data.statistics import position_statistics
from facerec.data.subset import Subset
from facerec.errors import InputError
from facerec.process import available_cores

_MOST_WORKERS = 8


@dataclass(kw_only=True, eq=False, repr=False)
class FaceDataModule(pl.LightningDataModule, ABC):
    """Batches ``(images, labels)`` to train on and ``(images, indices)`` of a benchmark's distinct images.

    On the host images are uint8 ``(B, H, W, 3)``; on the device they become float32 ``(B, 3, H, W)`` in [-1, 1],
    mirrored at random when training.

    Args:
        benchmarks: names of the verification sets, at least one.
        image_size: (height, width) that every image is resized to.
        global_batch_size: images a step over all devices together.
        num_workers: processes a device that decode; None: one a core that this process may use, at most 8.
        horizontal_flip: mirror half of the training images.
        sampling: "images": each training image once an epoch; "identities": as many draws, each of an identity and then
            of one of its images, with replacement.
        held_out_identities: of the training set, not trained on but verified as benchmark ``held_out``, on which alone
            the best epoch is then chosen; a number below 1 is a share; 0: none.
        held_out_seed: of these identities and their pairs, the same for all seeds of a comparison.
        train_augmentation: random changes of the training images by name, after the mirroring.
        test_augmentation: of the verified images, each changed in the same way in every run.
        cache: folder for the pixels of all images in their final size, ``H * W * 3`` bytes each, decoded once for this
            run and the next; None: they are decoded whenever they are used.
        seed: of the order of the images and of the mirroring.
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
    train_source: LabelledSource | None = field(init=False, default=None)
    opened_benchmarks: list[Benchmark] = field(init=False, default_factory=list)
    _train: ImageDataset | PackedDataset | None = field(init=False, default=None)
    _benchmarks: list[ImageDataset | PackedDataset] = field(init=False, default_factory=list)
    _train_fingerprint: str | None = field(init=False, default=None)
    _states: dict[int, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        if not isinstance(self.global_batch_size, int) or self.global_batch_size < 2:
            raise ValueError(f"global_batch_size must be a whole number of at least 2, got {self.global_batch_size!r}")
        if isinstance(self.benchmarks, str):
            raise ValueError(f"benchmarks must be a list of names, got {self.benchmarks!r}: write [{self.benchmarks}]")
        if self.num_workers is None:
            self.num_workers = min(_MOST_WORKERS, available_cores())
        if not isinstance(self.num_workers, int) or self.num_workers < 0:
            raise ValueError(f"num_workers must be null or a whole number of at least 0, got {self.num_workers!r}")
        check_choice("sampling", self.sampling, SAMPLINGS)
        check_number_or_share("held_out_identities", self.held_out_identities)
        check_seed("held_out_seed", self.held_out_seed)
        check_seed("seed", self.seed)
        check_transforms("train_augmentation", self.train_augmentation)
        check_transforms("test_augmentation", self.test_augmentation)
        if self.held_out_identities and HELD_OUT in self.benchmarks:
            raise ValueError(f"benchmarks names {HELD_OUT!r}, which held_out_identities adds: give it another name")

    @abstractmethod
    def open_train(self, on_problem: OnProblem = refuse) -> LabelledSource:
        """Read the training set's table of contents. ``on_problem`` gets each line of a list and each identity folder
        that cannot be used, and where it returns, the others are read; `InputError` where nothing is left."""

    @abstractmethod
    def open_benchmark(self, name: str, on_problem: OnProblem = refuse) -> Benchmark:
        """Read the pairs of benchmark ``name``; `InputError` says what is missing, and ``on_problem`` gets each line of
        the list of pairs that cannot be used."""

    def setup(self, stage: str) -> None:
        """Read every table of contents once, so that whatever is missing is said before the first step; then decode
        what is to be in the cache and is not."""
        if not self.opened_benchmarks:
            self.opened_benchmarks = self._open_benchmarks()
        # Where there is no benchmark, the held-out identities are all there is to verify.
        if (stage == "fit" or not self.benchmarks) and self.train_source is None:
            self.train_source = self._open_train()
        for benchmark in self.opened_benchmarks[len(self._benchmarks) :]:
            self._benchmarks.append(self._dataset(benchmark.images, np.arange(len(benchmark.images))))
        if stage == "fit" and self.train_source is not None and self._train is None:
            self._train = self._dataset(self.train_source, self.train_source.labels)

    def _open_benchmarks(self) -> list[Benchmark]:
        if not self.benchmarks and not self.held_out_identities:
            raise InputError(
                "data.benchmarks is empty: name a set to choose the best epoch on, as in [lfw], or set "
                "data.held_out_identities"
            )
        opened = [self.open_benchmark(name) for name in self.benchmarks]
        for benchmark in opened:
            refuse_missing(benchmark.images)
        return opened

    def _open_train(self) -> LabelledSource:
        train = self.open_train()
        refuse_missing(train)
        if self.held_out_identities:
            train, held_out = split_identities(train, self.held_out_identities, self.held_out_seed)
            self.opened_benchmarks.append(held_out)
        if len(train) < self.global_batch_size:
            raise InputError(
                f"the training set has {len(train)} images, fewer than one step of data.global_batch_size="
                f"{self.global_batch_size}: lower it"
            )
        return train

    def train_dataloader(self) -> DataLoader:
        assert self._train is not None and self.trainer is not None
        devices = self.trainer.world_size
        if self.global_batch_size % devices:
            raise InputError(
                f"data.global_batch_size={self.global_batch_size} does not divide over {devices} devices: use a "
                f"multiple of {devices}"
            )
        return self._loader(self._train, self.global_batch_size // devices, training=True)

    def val_dataloader(self) -> list[DataLoader]:
        return [self._loader(dataset, 128, training=False) for dataset in self._benchmarks]

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint says of the data."""
        if self.train_source is not None and self._train_fingerprint is None:
            self._train_fingerprint = self.train_source.fingerprint()  # of millions of names: not in every epoch
        return {"train_fingerprint": self._train_fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """`InputError` when the checkpoint was trained on other images, of which some may be held out now."""
        theirs, ours = state_dict["train_fingerprint"], self.state_dict()["train_fingerprint"]
        if theirs is not None and ours is not None and theirs != ours:
            raise InputError(
                f"the checkpoint was trained on other images (fingerprint {theirs}, this run's {ours}): give the run "
                "the checkpoint's data, with its data.held_out_identities and data.held_out_seed, or start without "
                "resume"
            )

    def position_statistics(self, cache: Path) -> Tensor:
        """Mean and standard deviation of the training images at each position, ``(2, 3, H, W)``; kept in ``cache``."""
        assert self.train_source is not None and self._train is not None
        fingerprint = digest([self.train_source.fingerprint(), self._state(self.train_source)])
        return position_statistics(self._train, fingerprint, self.horizontal_flip, cache, self.num_workers or 0)

    def _dataset(self, source: ImageSource, targets: np.ndarray) -> ImageDataset | PackedDataset:
        size = (self.image_size[0], self.image_size[1])
        if self.cache is None:
            return ImageDataset(source, targets, size)
        return pack(ImageDataset(source, targets, size, self._state(source)), Path(self.cache), self.num_workers or 0)

    def _state(self, source: ImageSource) -> str:
        """As it was at the start of the run: a subset's is its source's, and all files are looked at only once."""
        while isinstance(source, Subset):
            source = source.source
        if id(source) not in self._states:
            self._states[id(source)] = source.state()
        return self._states[id(source)]

    def _loader(self, dataset: ImageDataset | PackedDataset, batch_size: int, *, training: bool) -> DataLoader:
        replicas, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        if training and self.sampling == "identities":
            sampler = UniformIdentities(dataset.targets, replicas, rank, self.seed)
        else:
            sampler = (UniformImages if training else Share)(len(dataset), replicas, rank, self.seed)
        if self.trainer and training:
            # Lightning tells the sampler too, but after a resume only when the loading processes have begun.
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

    def on_after_batch_transfer(self, batch: tuple[Tensor, Tensor], dataloader_idx: int) -> tuple[Tensor, Tensor]:
        """Pixels to the network's input, on the device."""
        images, targets = normalise(batch[0]), batch[1]
        trainer = self.trainer
        if trainer is not None and trainer.training:
            step = (trainer.current_epoch, trainer.fit_loop.epoch_loop.batch_idx + 1)
            seed = (self.seed, *step, trainer.global_rank)
            images = flip_at_random(images, seed) if self.horizontal_flip else images
            images = augment_batch(images, self.train_augmentation, seed)
        elif self.test_augmentation:
            name = self.opened_benchmarks[dataloader_idx].name
            images = augment_images(images, self.test_augmentation, targets, name)
        return images, targets
