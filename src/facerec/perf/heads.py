"""Time and memory of a training step of the class centres alone: whole, a sample of them, and divided among devices."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import get_context
from tempfile import TemporaryDirectory
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from facerec.heads import ArcFace
from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.runtime import peak_allocated
from facerec.perf.timing import Effort, alternate, milliseconds
from facerec.process import freed_memory_given_back

DENSE, SAMPLED, DIVIDED = "dense", "sample=0.1", "shard=true, each of 2 devices"
_ALONE = {DENSE: 1.0, SAMPLED: 0.1}  # the contenders of one process, with their samples
_DEVICES, _DIM, _BATCH = 2, 128, 64
_own: "dict[str, HeadStep]" = {}  # of a process that is a device
T = TypeVar("T")


def cases(effort: Effort) -> list[Case]:
    """Return the cases at 100 thousand and a million identities: ArcFace on random embeddings, with SGD."""
    sizes = (1_000, 2_000) if effort.quick else (100_000, 1_000_000)
    found = []
    for size in sizes:
        name = f"{size:,} identities, {_DIM} dimensions, batch {_BATCH}"
        goals = [Goal(DENSE, other) for other in _contenders() if other != DENSE]
        found.append(Case("heads", f"{name}: step", "ms", partial(_times, size, effort), goals))
        found.append(Case("heads", f"{name}: peak memory of a step", "MB", partial(_memory, size), goals))
    return found


class HeadStep:
    """A training step of a head as a callable: loss, backward to the embeddings and the centres, SGD with momentum."""

    def __init__(self, num_identities: int, batch: int = _BATCH, sample: float = 1.0, shard: bool = False) -> None:
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
    # One after the other: at a million identities all of them together would not fit into many a memory.
    rounds: Rounds = {}
    for name, sample in _ALONE.items():
        with freed_memory_given_back():
            rounds |= alternate({name: HeadStep(size, sample=sample)}, effort)
    if DIVIDED in _contenders():
        with _two_devices(size) as devices:
            rounds |= alternate({DIVIDED: partial(_on_all, devices, _step)}, effort)
    fewest = min(map(len, rounds.values()))
    return milliseconds({name: values[:fewest] for name, values in rounds.items()})


def _memory(size: int) -> Rounds:
    with freed_memory_given_back():
        peaks = {name: HeadStep(size, sample=sample).peak_bytes() for name, sample in _ALONE.items()}
    if DIVIDED in _contenders():
        with _two_devices(size) as devices:
            peaks[DIVIDED] = max(_on_all(devices, _peak_bytes))
    return {name: [peak / 1e6] for name, peak in peaks.items()}


def _contenders() -> list[str]:
    return [*_ALONE, DIVIDED] if dist.is_available() and dist.is_gloo_available() else list(_ALONE)


@contextmanager
def _two_devices(size: int) -> Iterator[list[ProcessPoolExecutor]]:
    """Start two processes with a step of half of the centres and of the batch each."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        number = max(1, torch.get_num_threads() // _DEVICES)
        devices = [
            stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), _join, (rank, folder, number, size)))
            for rank in range(_DEVICES)
        ]
        yield devices
        _on_all(devices, dist.destroy_process_group)


def _on_all(devices: Sequence[ProcessPoolExecutor], call: Callable[[], T]) -> list[T]:
    return [waiting.result() for waiting in [device.submit(call) for device in devices]]


def _join(rank: int, folder: str, number: int, size: int) -> None:
    """Make this process one of the devices, and build its step."""
    torch.set_num_threads(number)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=_DEVICES)
    _own["step"] = HeadStep(size, _BATCH // _DEVICES, shard=True)


def _step() -> None:
    _own["step"]()


def _peak_bytes() -> int:
    return _own["step"].peak_bytes()
