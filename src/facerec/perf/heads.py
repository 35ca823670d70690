"""Time and memory of a training step of the class centres alone: whole, a sample of them, and divided among devices."""

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from facerec.heads import ArcFace
from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.runtime import peak_allocated
from facerec.perf.timing import Effort, alternate, milliseconds, threads

DENSE, SAMPLED, DIVIDED = "dense", "sample=0.1", "shard=true, each of 2 devices"
_DEVICES, _DIM, _BATCH = 2, 128, 64


def cases(effort: Effort) -> list[Case]:
    """Return the cases at 100 thousand and a million identities: ArcFace on random embeddings, with SGD."""
    sizes = (1_000, 2_000) if effort.quick else (100_000, 1_000_000)
    found = []
    for size in sizes:
        name = f"{size:,} identities, {_DIM} dimensions, batch {_BATCH}"
        goals = [Goal(DENSE, SAMPLED), Goal(DENSE, DIVIDED)] if dist.is_available() else [Goal(DENSE, SAMPLED)]
        found.append(Case("heads", f"{name}: step", "ms", partial(_times, size, effort), goals))
        found.append(Case("heads", f"{name}: peak memory of a step", "MB", partial(_memory, size), goals))
    return found


class HeadStep:
    """A training step of a head as a callable: loss, backward to the embeddings and the centres, SGD with momentum."""

    def __init__(self, num_identities: int, batch: int, sample: float = 1.0, shard: bool = False) -> None:
        torch.manual_seed(0)
        self.head = ArcFace(num_identities, _DIM, shard=shard, sample=sample)
        self.head.hold_part()
        self.embeddings = torch.randn(batch, _DIM, requires_grad=True)
        self.labels = torch.randint(num_identities, (batch,))
        self.optimizer = torch.optim.SGD(self.head.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        self.head.loss(self.embeddings, self.labels).backward()
        with self.head.step_on_drawn(self.optimizer):
            self.optimizer.step()

    def peak_bytes(self) -> int:
        """Measure the peak memory of centres, gradient, momentum and all results together, in the second step."""
        self()
        self.optimizer.zero_grad()
        resting: list[Tensor] = [self.head.weight, *self.optimizer.state[self.head.weight].values()]
        return sum(tensor.nbytes for tensor in resting) + peak_allocated(self)


def _times(size: int, effort: Effort) -> Rounds:
    steps = {DENSE: HeadStep(size, _BATCH), SAMPLED: HeadStep(size, _BATCH, sample=0.1)}
    rounds = alternate(steps, effort)
    if dist.is_available():
        rounds |= divided(size, effort)[0]
    return milliseconds(rounds)


def _memory(size: int) -> Rounds:
    rounds = {
        name: [HeadStep(size, _BATCH, sample).peak_bytes() / 1e6] for name, sample in {DENSE: 1.0, SAMPLED: 0.1}.items()
    }
    return rounds
