"""What the data modules of all tasks share: a training set in random order, on any number of devices."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from facerec.checks import check_seed
from facerec.data.augmentation.random_numbers import Transform, entropy_of
from facerec.data.loading import IndexedImages, image_loader
from facerec.data.sampling import Share, UniformIdentities, UniformImages
from facerec.data.source import ImageSource
from facerec.errors import InputError
from facerec.process import available_cores, refuse_too_many

_MOST_WORKERS = 8


class EvaluatedSet(Protocol):
    """Images that a network is evaluated on."""

    @property
    def name(self) -> str: ...

    @property
    def num_images(self) -> int: ...

    def fingerprint(self) -> str:
        """Return a short hexadecimal digest of what is evaluated on."""
        ...


@dataclass(kw_only=True, eq=False, repr=False)
class ImageDataModule(pl.LightningDataModule, ABC):
    """Loads batches of images of one size.

    Args:
        image_size: (height, width) that every image is resized to.
        global_batch_size: batch size over all devices together.
        num_workers: number of workers per device; None: one per available core, at most 8.
        train_augmentation: transforms of the training images by name, applied after the flip if there is one.
        seed: seed of the order and the flips.
    """

    image_size: Sequence[int] = (96, 96)
    global_batch_size: int = 512
    num_workers: int | None = None
    train_augmentation: Mapping[str, Transform] = field(default_factory=dict)
    seed: int = 1
    train_source: ImageSource | None = field(init=False, default=None)
    held_out_settings: ClassVar[str]  # the keys that decide which images are not trained on
    _train: IndexedImages | None = field(init=False, default=None)
    _train_fingerprint: str | None = field(init=False, default=None)
    _position: tuple[int, int] = field(init=False, default=(0, 0))  # an epoch, and its batches that are done

    def __post_init__(self) -> None:
        super().__init__()
        if not isinstance(self.global_batch_size, int) or self.global_batch_size < 2:
            raise ValueError(f"global_batch_size must be an integer of at least 2, got {self.global_batch_size!r}")
        if self.num_workers is None:
            self.num_workers = min(_MOST_WORKERS, available_cores())
        if not isinstance(self.num_workers, int) or self.num_workers < 0:
            raise ValueError(f"num_workers must be null or an integer of at least 0, got {self.num_workers!r}")
        refuse_too_many(self.num_workers, "data.num_workers", ", or null, one per core")
        check_seed("seed", self.seed)

    @property
    def num_identities(self) -> int | None:
        """The number of identities to learn, if the images have any; the data module is set up to fit."""
        return None

    @abstractmethod
    def evaluated_sets(self) -> Sequence[EvaluatedSet]:
        """Return what networks are evaluated on, in the order of the loaders; the data module is set up."""

    @abstractmethod
    def refuse_equal_images(self) -> None:
        """Raise `InputError` for a training set or a set to evaluate on, of those set up, whose images are the same."""

    @abstractmethod
    def position_statistics(self, cache: Path) -> Tensor:
        """Return the training images' mean and standard deviation at each position, ``(2, 3, H, W)``."""

    def refuse_less_than_a_batch(self, train: ImageSource) -> None:
        """Raise `InputError` if the training set does not fill one batch."""
        if len(train) < self.global_batch_size:
            size = f"data.global_batch_size={self.global_batch_size}"
            raise InputError(f"the training set has {len(train)} images, fewer than one batch of {size}: lower it")

    def batches_per_epoch(self, devices: int) -> int:
        """Return the number of batches that each device trains on in an epoch; the data module is set up to fit."""
        assert self.train_source is not None
        return -(-len(self.train_source) // devices) // max(1, self.global_batch_size // devices)

    def go_on(self, epoch: int, batches: int) -> None:
        """Let training begin with ``epoch``, from 0, behind its first ``batches`` batches.

        To be called before the loader is made: its workers fetch ahead.
        """
        self._position = epoch, batches

    def training_loader(self, dataset: IndexedImages, groups: np.ndarray | None) -> DataLoader:
        """Create the loader of an epoch's batches: each image once, or with ``groups``, int64 ``(N,)`` of every value
        of ``0 .. groups.max()``, as many samples, each a group and then one of its images.

        Raises `InputError` if a batch cannot be divided over the devices.
        """
        assert self.trainer is not None
        devices, rank = self.trainer.world_size, self.trainer.global_rank
        if self.global_batch_size % devices:
            size = f"data.global_batch_size={self.global_batch_size}"
            raise InputError(f"{size} cannot be divided by {devices} devices: use a multiple of {devices}")
        if groups is None:
            sampler = self.uniform_images(len(dataset), devices, rank)
        else:
            sampler = UniformIdentities(groups, devices, rank, self.seed)
        size, (epoch, batches) = self.global_batch_size // devices, self._position
        sampler.go_on(epoch, batches * size)
        # Lightning sets the epoch too, but if it makes loaders anew only when their workers have started.
        progress = self.trainer.fit_loop.epoch_progress.current
        sampler.set_epoch(max(epoch, progress.processed))  # pyright: ignore[reportAttributeAccessIssue]
        return self._loader(dataset, size, sampler, training=True)

    def uniform_images(self, length: int, devices: int, rank: int) -> Share:
        """Create the sampler of one device's part of ``length`` training images, each once per epoch."""
        return UniformImages(length, devices, rank, self.seed)

    def verification_loader(self, dataset: IndexedImages, batch_size: int) -> DataLoader:
        """Create a loader of all images in their order; devices share them."""
        replicas, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        return self._loader(dataset, batch_size, Share(len(dataset), replicas, rank), training=False)

    def _loader(self, dataset: IndexedImages, batch_size: int, sampler: Share, *, training: bool) -> DataLoader:
        return image_loader(
            dataset,
            batch_size,
            self.num_workers or 0,
            keep_workers=training,
            sampler=sampler,
            drop_last=training,
            pin_memory=torch.cuda.is_available(),
        )

    def seed_of_batch(self) -> tuple[int, ...]:
        """Return the seed of a training batch's changes, which epoch, batch and device determine; else nothing."""
        trainer = self.trainer
        if trainer is None or not trainer.training:
            return ()
        return self.seed, trainer.current_epoch, trainer.fit_loop.epoch_loop.batch_idx + 1, trainer.global_rank

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Seed PyTorch before a training step: what a network draws, as for dropout, follows from the step as well."""
        if seed := self.seed_of_batch():
            torch.manual_seed(entropy_of(seed))
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Return the fingerprint of the training set, for the checkpoint."""
        if self.train_source is not None and self._train_fingerprint is None:
            self._train_fingerprint = self.train_source.fingerprint()  # slow for millions of names
        return {"train_fingerprint": self._train_fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raise `InputError` if the checkpoint was trained on other images, of which some may be held out now."""
        theirs, ours = state_dict["train_fingerprint"], self.state_dict()["train_fingerprint"]
        if theirs is not None and ours is not None and theirs != ours:
            problem = f"the checkpoint was trained on other images (fingerprint {theirs}, this run's {ours})"
            settings = f"the checkpoint's data, {self.held_out_settings}"
            raise InputError(f"{problem}: use {settings}, or start without resume")
