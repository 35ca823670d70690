"""The order of training images in shards: few shards are read at a time."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread

import numpy as np
import torch
from torch import Tensor

from facerec.data.sampling import UniformImages
from facerec.errors import InputError

AHEAD = 2  # shards that are fetched before their first image is due


class ShardOrder(UniformImages):
    """Samples each image once per epoch; at any time, those of ``mixed`` shards are mixed.

    The shards are in random order. Each image of the p-th one has a time, uniform in [p, p + mixed), and images are
    sorted by time. With as many mixed shards as there are, the order is that of `UniformImages`. It depends on seed and
    epoch alone: not on the number of devices and workers, on the place of the shards, or on the position in the epoch
    that a run resumes from.

    Args:
        shards: shard of each image, int64 ``(N,)``.
        mixed: number of shards whose images are mixed.
        fetch: is called in a thread with each shard before it is due, and may raise `InputError`: whoever reads the
            shard then meets the same; None: nothing is fetched ahead.
    """

    def __init__(
        self,
        shards: np.ndarray,
        mixed: int,
        replicas: int,
        rank: int,
        seed: int = 0,
        fetch: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(len(shards), replicas, rank, seed)
        used, numbers = np.unique(shards, return_inverse=True)
        self._used, self._numbers, self.mixed, self._fetch = used, torch.from_numpy(numbers), mixed, fetch

    def order(self) -> Tensor:
        if self.mixed >= len(self._used):
            return super().order()
        random, positions = self._random_shards()
        times = torch.rand(self.length, dtype=torch.float64, generator=random).mul_(self.mixed)
        return times.add_(positions[self._numbers]).argsort(stable=True)

    def __iter__(self) -> Iterator[int]:
        indices = super().__iter__()
        if self._fetch is None or self.mixed >= len(self._used):
            return indices
        return self._fetching(indices, self._fetch)

    def _fetching(self, indices: Iterator[int], fetch: Callable[[int], None]) -> Iterator[int]:
        """Yield the ``indices``, and have shards fetched on the way."""
        positions = self._random_shards()[1].numpy()
        due, numbers = _Fetched(self._used[positions.argsort()].tolist(), fetch), self._numbers.numpy()
        for index in indices:
            due.expect(int(positions[numbers[index]]))
            yield index

    def _random_shards(self) -> tuple[torch.Generator, Tensor]:
        """Return the generator of the epoch, and the position of each shard in its order, int64."""
        random = torch.Generator().manual_seed(self.seed + self.epoch)
        return random, torch.randperm(len(self._used), generator=random)


class _Fetched:
    """The ``shards`` of an epoch, in their order, of which one after the other is fetched in a thread."""

    def __init__(self, shards: list[int], fetch: Callable[[int], None]) -> None:
        self._shards, self._fetch = shards, fetch
        self._expected: set[int] = set()
        self._waiting: deque[int] = deque()
        self._thread: Thread | None = None

    def expect(self, position: int) -> None:
        """Have the shard at this position in the order fetched, and the next ones."""
        if position in self._expected and position + AHEAD in self._expected:
            return
        for near in range(position, position + AHEAD + 1):
            if near not in self._expected:
                self._expected.add(near)
                self._waiting.extend(self._shards[near : near + 1])
        if self._waiting and (self._thread is None or not self._thread.is_alive()):
            self._thread = Thread(target=self._fetch_all, name="fetch shards", daemon=True)
            self._thread.start()

    def _fetch_all(self) -> None:
        with suppress(IndexError):
            while True:
                shard = self._waiting.popleft()
                with suppress(InputError):
                    self._fetch(shard)
