"""Contenders timed in turns, so that a busy minute of the machine hits all of them."""

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
        seconds: that a turn lasts; at least one call is made.
        most_seconds: after which a case ends, if each contender has had three turns.
        quick: small sizes, to see that everything runs; the numbers mean nothing.
    """

    rounds: int = 7
    seconds: float = 0.2
    most_seconds: float = 120.0
    quick: bool = False


QUICK = Effort(rounds=2, seconds=0.0, quick=True)


def alternate(contenders: Mapping[str, Callable[[], object]], effort: Effort) -> Rounds:
    """Seconds of a call, for each contender and round. Every other round goes through them backwards, so that none
    always follows the same one."""
    start = time.perf_counter()
    for call in contenders.values():
        _seconds_a_call(call, effort.seconds)
    rounds: Rounds = {name: [] for name in contenders}
    for number in range(effort.rounds):
        if number >= _FEWEST_ROUNDS and time.perf_counter() - start > effort.most_seconds:
            break
        for name in list(contenders)[:: -1 if number % 2 else 1]:
            rounds[name].append(_seconds_a_call(contenders[name], effort.seconds))
    return rounds


@contextmanager
def threads(number: int) -> Iterator[None]:
    """So many of PyTorch's."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def milliseconds(rounds: Rounds) -> Rounds:
    """Of a call, from its seconds."""
    return {name: [1000 * seconds for seconds in values] for name, values in rounds.items()}


def per_second(rounds: Rounds, images: int) -> Rounds:
    """Images a second, from the seconds of a call that works on so many."""
    return {name: [images / seconds for seconds in values] for name, values in rounds.items()}


def _seconds_a_call(call: Callable[[], object], seconds: float) -> float:
    calls, start = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - start < seconds:
        call()
        calls += 1
    return (time.perf_counter() - start) / calls
