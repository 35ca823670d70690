"""The base of the data modules of segmentation: one domain is left out of training, and evaluated on."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from lightning_utilities.core.rank_zero import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader

from facerec.checks import check_choice, check_number, check_seed
from facerec.console import log
from facerec.data.augmentation.random_numbers import Transform, augment_images
from facerec.data.augmentation.with_masks import augment_batch_with_masks, check_transforms_with_masks
from facerec.data.fundus.masked_source import TRAIN, MaskedSource, MaskedSubset
from facerec.data.fundus.memory_images import LoadedPairs, MaskedSet, MemoryImages
from facerec.data.fundus.unseen_domain import Parts, check_domain, leave_out
from facerec.data.held_out import HELD_OUT
from facerec.data.image_datamodule import ImageDataModule
from facerec.data.loading import normalise, refuse_equal_images
from facerec.data.source import OnProblem, digest, refuse
from facerec.data.statistics import position_statistics
from facerec.segmentation.constant_mask import constant_mask

SAMPLINGS = ("images", "domains")
_AT_ONCE = 16  # images that are evaluated


@dataclass(kw_only=True, eq=False, repr=False)
class SegmentationDataModule(ImageDataModule):
    """Loads training batches ``(images, masks)`` and batches ``(images, indices)`` of the sets to evaluate on.

    Trained on are the training images of all domains but ``unseen``. Evaluated on are those of them that are held out,
    as set ``held_out``, and the test images of the unseen domain, as a set of its name; their masks are those of
    `sets`, in their native size.

    On the host, images are uint8 ``(B, H, W, 3)`` and masks uint8 ``(B, H, W)``: 0 background, 1 disc outside the cup,
    2 cup. On the device images become float32 ``(B, 3, H, W)`` in [-1, 1]. All are decoded once and kept in memory.

    Args:
        unseen: name of the domain that is not trained on; only a check of the data needs none.
        domains: names of the domains to use; None: all.
        held_out: share of each seen domain's training images that the best epoch is chosen on; 0: none.
        held_out_seed: seed of these images, the same for all seeds of a comparison.
        sampling: "images": each training image once per epoch; "domains": as many samples, each a domain and then one
            of its images, with replacement.
        test_augmentation: transforms of the images to evaluate on; an image is changed in the same way in every run,
            and its mask moves with it.
    """

    unseen: str | None = None
    domains: Sequence[str] | None = None
    held_out: float = 0.1
    held_out_seed: int = 0
    image_size: Sequence[int] = (256, 256)
    global_batch_size: int = 16
    sampling: str = "images"
    test_augmentation: Mapping[str, Transform] = field(default_factory=dict)
    train_source: MaskedSource | None = field(init=False, default=None)
    held_out_settings = "data.unseen, data.held_out and data.held_out_seed"
    sets: list[MaskedSet] = field(init=False, default_factory=list)
    _source: MaskedSource | None = field(init=False, default=None)
    _parts: Parts | None = field(init=False, default=None)
    _constant: dict[tuple[int, ...], np.ndarray] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.domains, str):
            raise ValueError(f"domains must be a list of names, got {self.domains!r}: write [{self.domains}]")
        if self.domains is not None and len(set(self.domains)) < len(self.domains):
            raise ValueError(f"domains names one of {list(self.domains)} twice: name each once")
        check_number("held_out", self.held_out, 0, 0.9)
        check_seed("held_out_seed", self.held_out_seed)
        check_choice("sampling", self.sampling, SAMPLINGS)
        check_transforms_with_masks("train_augmentation", self.train_augmentation)
        check_transforms_with_masks("test_augmentation", self.test_augmentation)

    @abstractmethod
    def open_source(self, on_problem: OnProblem = refuse) -> MaskedSource:
        """Read the index of all images. ``on_problem`` is called for each unusable domain, image and mask. Raises
        `InputError` if nothing is left."""

    def setup(self, stage: str) -> None:
        """Read the index, then decode what is evaluated on and, to fit, what is trained on."""
        if self._source is None:
            self._source = self.open_source()
        unseen = check_domain(self.unseen, self._source.domain_names)
        self._parts = parts = leave_out(self._source, unseen, self.held_out, self.held_out_seed)
        fits = stage == "fit" and self._train is None
        if fits:
            self.train_source = MaskedSubset(self._source, parts.train)
            self.refuse_less_than_a_batch(self.train_source)
        if fits or not self.sets:
            self._load(self._source, unseen, parts, fits)

    def _load(self, source: MaskedSource, unseen: str, parts: Parts, fits: bool) -> None:
        """Decode the images of the parts, and make the sets and the training images of them."""
        parts = parts if fits else parts._replace(train=parts.train[:0])
        size = (self.image_size[0], self.image_size[1])
        loaded = LoadedPairs(MaskedSubset(source, np.concatenate(parts)), size, self.num_workers or 0)
        ends = np.cumsum([len(part) for part in parts])
        train, held_out, tested = np.split(np.arange(ends[-1]), ends[:-1])
        named = {HELD_OUT: held_out, unseen: tested}
        self.sets = [self._set(name, loaded, where) for name, where in named.items() if len(where)]
        if fits:
            self._train = MemoryImages(loaded.pixels[train], loaded.resized_masks(train))
        self._say_what_is_odd(source, loaded)

    def _set(self, name: str, loaded: LoadedPairs, positions: np.ndarray) -> MaskedSet:
        images = MemoryImages(loaded.pixels[positions], np.arange(len(positions)))
        source = MaskedSubset(loaded.source, positions)
        return MaskedSet(name, source, images, loaded, positions, dict(self.test_augmentation))

    def constant_mask(self, size: tuple[int, ...]) -> np.ndarray:
        """Return the mask of what is cup, or disc, in more than half of the training masks, uint8 ``size``."""
        assert self._source is not None and self._parts is not None
        if size not in self._constant:
            masks = map(self._source.mask, self._parts.train.tolist())
            self._constant[size] = constant_mask(masks, (size[0], size[1]))
        return self._constant[size]

    @rank_zero_only
    def _say_what_is_odd(self, source: MaskedSource, loaded: LoadedPairs) -> None:
        for number, domain in enumerate(source.domain_names):
            if domain != self.unseen and not ((source.domains == number) & (source.split == TRAIN)).any():
                log(f"domain {domain} has no training images: nothing of it is trained on")
        if without := loaded.without_cup():
            log(f"{without} of {len(loaded.source)} masks have no cup: they count, with an empty truth")

    def evaluated_sets(self) -> list[MaskedSet]:
        return self.sets

    def refuse_equal_images(self) -> None:
        for each in self.sets:
            refuse_equal_images(each.images, f"set {each.name}")
        if self._train is not None:
            refuse_equal_images(self._train, "the training set")

    def train_dataloader(self) -> DataLoader:
        assert self._train is not None and self.train_source is not None
        # Numbered without gaps: the unseen domain has no training image.
        domains = np.unique(self.train_source.domains, return_inverse=True)[1]
        return self.training_loader(self._train, domains if self.sampling == "domains" else None)

    def val_dataloader(self) -> list[DataLoader]:
        return [self.verification_loader(each.images, _AT_ONCE) for each in self.sets]

    def position_statistics(self, cache: Path) -> Tensor:
        assert self.train_source is not None and self._train is not None
        fingerprint = digest([self.train_source.fingerprint(), self.train_source.state()])
        return position_statistics(self._train, fingerprint, False, cache)

    def on_after_batch_transfer(self, batch: tuple[Tensor, Tensor], dataloader_idx: int) -> tuple[Tensor, Tensor]:
        """Normalise and augment a batch on the device, in training with its masks."""
        images, targets = normalise(batch[0]), batch[1]
        if seed := self.seed_of_batch():
            return augment_batch_with_masks(images, targets, self.train_augmentation, seed)
        if self.test_augmentation:
            images = augment_images(images, self.test_augmentation, targets, self.sets[dataloader_idx].name)
        return images, targets
