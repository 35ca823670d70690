"""In which order the training images are drawn."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

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
