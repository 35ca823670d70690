"""In which order images are trained on, and which of them by which device."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from facerec.data.augmentation.random_numbers import entropy_of

SAMPLINGS = ("images", "identities")
_CHUNK = 65536  # indices that are Python objects at a time


class Share(Sampler[int]):
    """A sequential sampler of one device's part of ``0 .. length - 1``: every ``replicas``-th index, from ``rank`` on.

    The first indices are repeated so that all devices have equally many. Subclasses define the `order` of an epoch,
    which is determined by ``seed`` and epoch alone: the same on any number of devices and after a resume.
    """

    def __init__(self, length: int, replicas: int, rank: int, seed: int = 0) -> None:
        self.length, self.replicas, self.rank, self.seed, self.epoch = length, replicas, rank, seed, 0
        self._done = {0: 0}

    def __len__(self) -> int:
        return -(-self.length // self.replicas)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, from 0; Lightning calls it."""
        self.epoch = epoch

    def go_on(self, epoch: int, done: int) -> None:
        """Begin with ``epoch``, from 0, behind its first ``done`` indices; later epochs are whole."""
        self.epoch, self._done = epoch, {epoch: done}

    def order(self) -> Tensor:
        """Return the indices of an epoch for all devices, int64 ``(length,)``."""
        return torch.arange(self.length)

    def __iter__(self) -> Iterator[int]:
        order = self.order()
        positions = torch.arange(self.rank, len(self) * self.replicas, self.replicas)[self._done.get(self.epoch, 0) :]
        indices = order[positions.remainder_(self.length)]
        del order, positions
        for chunk in indices.split(_CHUNK):
            yield from chunk.tolist()


class UniformImages(Share):
    """Samples each image once per epoch, in the random order of PyTorch's ``DistributedSampler``."""

    def order(self) -> Tensor:
        return torch.randperm(self.length, generator=torch.Generator().manual_seed(self.seed + self.epoch))


class UniformIdentities(Share):
    """Samples an identity and then one of its images, both uniformly with replacement, as often as there are images.

    Args:
        labels: int64 ``(N,)``, labels of the images, with every value of ``0 .. labels.max()``.
    """

    def __init__(self, labels: np.ndarray, replicas: int, rank: int, seed: int = 0) -> None:
        super().__init__(len(labels), replicas, rank, seed)
        self._images = torch.from_numpy(np.argsort(labels, kind="stable"))  # identity by identity
        self._counts = torch.from_numpy(np.bincount(labels))
        self._starts = self._counts.cumsum(0) - self._counts

    def order(self) -> Tensor:
        random = torch.Generator().manual_seed(entropy_of((self.seed, self.epoch)))
        identities = torch.randint(len(self._counts), (self.length,), generator=random)
        # float64 in [0, 1) has 53 bits, so the product rounded down is below the count.
        picks = (torch.rand(self.length, dtype=torch.float64, generator=random) * self._counts[identities]).long()
        return self._images[self._starts[identities] + picks]
