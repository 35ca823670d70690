"""From a source of images to batches of uint8 on the device, and from those to the network's input."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from facerec.data import decode
from facerec.data.shared_arrays import SharedArrays
from facerec.data.source import ImageSource, digest
from facerec.errors import InputError


class ImageDataset(SharedArrays, Dataset):
    """Images that are decoded when they are asked for, a batch at a time.

    Args:
        source: where they come from.
        targets: one an image.
        image_size: (height, width) that every image is resized to.
        state: of the source, where it is known: to ask for it is to look at every file.
    """

    def __init__(
        self, source: ImageSource, targets: np.ndarray, image_size: tuple[int, int], state: str | None = None
    ) -> None:
        self.source, self.targets, self.image_size, self._state = source, targets, image_size, state

    def __len__(self) -> int:
        return len(self.targets)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Uint8 RGB images ``(B, H, W, 3)`` and their targets ``(B,)``."""
        images = torch.empty((len(indices), *self.image_size, 3), dtype=torch.uint8)
        for index, row in zip(indices, images.numpy(), strict=True):
            decode.resize(self.source.load(index), row)
        return images, torch.from_numpy(self.targets[indices])

    def fingerprint(self) -> str:
        """Short hexadecimal digest of all that decides the pixels: the images, their state, the decoder, the size."""
        height, width = self.image_size
        state = self._state or self.source.state()
        return digest([self.source.fingerprint(), state, decode.DECODER, f"{height}x{width}"])


class PackedDataset(Dataset):
    """The batches of an `ImageDataset`, from the file that `pack` left.

    All processes on a machine share the operating system's cache of the file.

    Args:
        path: a NumPy file of uint8 ``(N, H, W, 3)``; `InputError` when it is damaged.
        targets: one an image.
    """

    def __init__(self, path: Path, targets: np.ndarray) -> None:
        self.path, self.targets = path, targets
        self.image_size = self._pixels.shape[1:3]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Uint8 RGB images ``(B, H, W, 3)`` and their targets ``(B,)``."""
        # Gathered where the device can fetch them: what is pinned already is not copied again.
        shape = (len(indices), *self._pixels.shape[1:])
        images = torch.empty(shape, dtype=torch.uint8, pin_memory=torch.cuda.is_available())
        # By default NumPy gathers into a buffer first, so that an index out of range leaves the result alone.
        np.take(self._pixels, indices, axis=0, out=images.numpy(), mode="clip")
        return images, torch.from_numpy(self.targets[indices])

    @cached_property
    def _pixels(self) -> np.ndarray:
        try:
            return np.load(self.path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"the decoded images in {self.path} are damaged or may not be read: delete the file to have it made "
                "again"
            ) from error

    def __getstate__(self) -> dict[str, object]:
        """The path in place of the map, which would travel as a copy of all pixels."""
        return {key: value for key, value in self.__dict__.items() if key != "_pixels"}


def image_loader(
    dataset: ImageDataset | PackedDataset,
    batch_size: int,
    num_workers: int,
    *,
    keep_workers: bool = False,
    **options: Any,
) -> DataLoader:
    """The batches of ``dataset`` as it makes them, whole.

    Args:
        dataset: images to decode, in loading processes; or packed ones, which this process gathers itself, since to
            take over a batch from another process costs more time than to gather it.
        batch_size: images a batch.
        num_workers: loading processes.
        keep_workers: between epochs.
        options: of PyTorch's loader, such as a sampler.
    """
    if isinstance(dataset, PackedDataset):
        num_workers = 0
    return DataLoader(
        dataset,
        batch_size,
        persistent_workers=keep_workers and num_workers > 0,
        collate_fn=_whole,
        **decode.loading_processes(num_workers),
        **options,
    )


def _whole(batch: Any) -> Any:
    """A dataset's batch needs no collating."""
    return batch


def normalise(images: Tensor) -> Tensor:
    """uint8 ``(B, H, W, 3)`` to float32 ``(B, 3, H, W)`` in [-1, 1], in channels_last memory: ``(x - 127.5) /
    127.5``."""
    return images.permute(0, 3, 1, 2).float().sub_(127.5).div_(127.5)


def flip_at_random(images: Tensor, seed: tuple[int, ...]) -> Tensor:
    """Mirror each image of ``(B, 3, H, W)`` with probability one half, decided by ``seed`` alone: the same on every
    device and after a resume."""
    entropy = int(np.random.SeedSequence(seed).generate_state(1)[0])
    coins = torch.rand(len(images), generator=torch.Generator().manual_seed(entropy)) < 0.5
    return torch.where(coins.to(images.device)[:, None, None, None], images.flip(-1), images)


SAMPLINGS = ("images", "identities")
_CHUNK = 65536  # numbers that are Python objects at a time


class Share(Sampler[int]):
    """A device's share of the numbers ``0 .. length - 1``: every ``replicas``-th, filled up with the first ones so that
    all devices have as many. Without a shuffle, as for evaluation.

    Its subclasses say in which order the numbers of an epoch are dealt out; that follows from ``seed`` and the epoch
    alone, so that it is the same on one device and on many and a resumed run goes on with it.
    """

    def __init__(self, length: int, replicas: int, rank: int, seed: int = 0) -> None:
        self.length, self.replicas, self.rank, self.seed, self.epoch = length, replicas, rank, seed, 0

    def __len__(self) -> int:
        return -(-self.length // self.replicas)

    def set_epoch(self, epoch: int) -> None:
        """Deal out the numbers of ``epoch``, from 0; called by Lightning."""
        self.epoch = epoch

    def order(self) -> Tensor:
        """The numbers of an epoch for all devices, int64 ``(length,)``."""
        return torch.arange(self.length)

    def __iter__(self) -> Iterator[int]:
        order = self.order()
        places = torch.arange(self.rank, len(self) * self.replicas, self.replicas)
        share = order[places.remainder_(self.length)]
        del order, places
        for chunk in share.split(_CHUNK):
            yield from chunk.tolist()


class UniformImages(Share):
    """Each image once an epoch, in random order, which is that of PyTorch's ``DistributedSampler``."""

    def order(self) -> Tensor:
        return torch.randperm(self.length, generator=torch.Generator().manual_seed(self.seed + self.epoch))


class UniformIdentities(Share):
    """Each draw takes an identity and then one of its images, both uniformly and with replacement; an epoch has as many
    draws as there are images.

    Args:
        labels: of the images, int64 ``(N,)``, every one of ``0 .. labels.max()``.
    """

    def __init__(self, labels: np.ndarray, replicas: int, rank: int, seed: int = 0) -> None:
        super().__init__(len(labels), replicas, rank, seed)
        self._images = torch.from_numpy(np.argsort(labels, kind="stable"))  # identity by identity
        self._counts = torch.from_numpy(np.bincount(labels))
        self._starts = self._counts.cumsum(0) - self._counts

    def order(self) -> Tensor:
        entropy = np.random.SeedSequence((self.seed, self.epoch)).generate_state(1)
        random = torch.Generator().manual_seed(int(entropy[0]))
        identities = torch.randint(len(self._counts), (self.length,), generator=random)
        # A 53-bit number times the count, rounded down: float64 is below 1, so the result is below the count.
        picks = (torch.rand(self.length, dtype=torch.float64, generator=random) * self._counts[identities]).long()
        return self._images[self._starts[identities] + picks]
