"""Timing of contenders in turns, so that a slowdown of the machine affects all of them."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from facerec.perf.comparison import Rounds

_FEWEST_ROUNDS = 3


@dataclass(frozen=True)
class Effort:
    """How much time a benchmark may take.

    Attributes:
        rounds: turns of each contender, after one to warm up.
        seconds: duration of a turn, which makes at least one call.
        most_seconds: time after which a case ends, once each contender has had three turns.
        quick: use small sizes, to test that everything runs; the results mean nothing.
    """

    rounds: int = 7
    seconds: float = 0.2
    most_seconds: float = 120.0
    quick: bool = False


QUICK = Effort(rounds=2, seconds=0.0, quick=True)


def alternate(contenders: Mapping[str, Callable[[], object]], effort: Effort) -> Rounds:
    """Measure the seconds per call of each contender in each round.

    Every other round runs them in reverse order, so that no contender always follows the same one.
    """
    start = time.perf_counter()
    for call in contenders.values():
        _seconds_per_call(call, effort.seconds)
    rounds: Rounds = {name: [] for name in contenders}
    for index in range(effort.rounds):
        if index >= _FEWEST_ROUNDS and time.perf_counter() - start > effort.most_seconds:
            break
        for name in list(contenders)[:: -1 if index % 2 else 1]:
            rounds[name].append(_seconds_per_call(contenders[name], effort.seconds))
    return rounds


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Temporarily set PyTorch's number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def milliseconds(rounds: Rounds) -> Rounds:
    """Convert seconds to milliseconds."""
    return {name: [1000 * seconds for seconds in values] for name, values in rounds.items()}


def per_second(rounds: Rounds, images: int) -> Rounds:
    """Convert the seconds of a call that processes ``images`` images to images per second."""
    return {name: [images / seconds for seconds in values] for name, values in rounds.items()}


def _seconds_per_call(call: Callable[[], object], seconds: float) -> float:
    calls, start = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - start < seconds:
        call()
        calls += 1
    return (time.perf_counter() - start) / calls
