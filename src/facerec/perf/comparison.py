"""Benchmark cases: contenders measured side by side, and the ratios between them with their targets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# Measurements per contender, one per round; all contenders of a round ran under the same conditions.
Rounds = dict[str, list[float]]


@dataclass(frozen=True)
class Spread:
    """Median and quartiles over the rounds."""

    median: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Goal:
    """The ratio of contender ``top`` to contender ``bottom``, in whatever unit they are measured, and its target.

    Attributes:
        target: lower bound of the ratio, or upper bound if ``at_most``; None if there is no target.
        at_most: whether ``target`` is an upper bound.
    """

    top: str
    bottom: str
    target: float | None = None
    at_most: bool = False


@dataclass(frozen=True)
class Ratio:
    """The measured ratio of a `Goal`. ``met`` is None if there is no target or the run does not count."""

    name: str
    spread: Spread
    target: float | None
    at_most: bool
    met: bool | None


@dataclass(frozen=True)
class Comparison:
    """The result of a `Case`."""

    section: str
    case: str
    unit: str
    contenders: dict[str, Spread]
    ratios: list[Ratio]
    note: str


@dataclass(frozen=True)
class Case:
    """A benchmark to run.

    Attributes:
        measure: runs all contenders and returns their measurements.
        goals: ratios between contenders that ``measure`` returns.
        note: a remark that readers of the results must know.
    """

    section: str
    name: str
    unit: str
    measure: Callable[[], Rounds]
    goals: Sequence[Goal] = ()
    note: str = ""

    def run(self, counts: bool = True) -> Comparison:
        """Measure all contenders; the ratios are compared with their targets only if ``counts``."""
        rounds = self.measure()
        contenders = {name: spread(values) for name, values in rounds.items()}
        ratios = [_ratio(goal, rounds, counts) for goal in self.goals]
        return Comparison(self.section, self.name, self.unit, contenders, ratios, self.note)


def spread(values: Sequence[float]) -> Spread:
    """Compute median and quartiles."""
    lower, median, upper = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return Spread(median, lower, upper)


def _ratio(goal: Goal, rounds: Rounds, counts: bool) -> Ratio:
    # The ratio is taken per round, because a temporary slowdown of the machine affects both contenders.
    ratio = spread([top / bottom for top, bottom in zip(rounds[goal.top], rounds[goal.bottom], strict=True)])
    met = None
    if counts and goal.target is not None:
        met = ratio.median <= goal.target if goal.at_most else ratio.median >= goal.target
    return Ratio(f"{goal.top} / {goal.bottom}", ratio, goal.target, goal.at_most, met)
