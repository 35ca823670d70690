"""A case: contenders measured side by side, and the ratios between them that somebody promised."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# For each contender a number a round; in one round all contenders met the same machine.
Rounds = dict[str, list[float]]


@dataclass(frozen=True)
class Spread:
    """The middle of the rounds and the quartiles about it."""

    median: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Goal:
    """The number of ``top`` over the number of ``bottom``, whatever their unit, and what it is to be.

    Attributes:
        target: the least that it may be, or the most; None where nothing was promised.
        at_most: ``target`` is the most.
    """

    top: str
    bottom: str
    target: float | None = None
    at_most: bool = False


@dataclass(frozen=True)
class Ratio:
    """A goal measured. ``met`` is None where nothing was promised, or where the run does not count."""

    name: str
    spread: Spread
    target: float | None
    at_most: bool
    met: bool | None


@dataclass(frozen=True)
class Comparison:
    """A case measured."""

    section: str
    case: str
    unit: str
    contenders: dict[str, Spread]
    ratios: list[Ratio]
    note: str


@dataclass(frozen=True)
class Case:
    """What is yet to be measured.

    Attributes:
        measure: runs all contenders.
        goals: between contenders that ``measure`` returns.
        note: what a reader of the numbers must know.
    """

    section: str
    name: str
    unit: str
    measure: Callable[[], Rounds]
    goals: Sequence[Goal] = ()
    note: str = ""

    def run(self, counts: bool = True) -> Comparison:
        """``counts``: whether targets are held against the ratios."""
        rounds = self.measure()
        contenders = {name: spread(values) for name, values in rounds.items()}
        ratios = [_ratio(goal, rounds, counts) for goal in self.goals]
        return Comparison(self.section, self.name, self.unit, contenders, ratios, self.note)


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles."""
    lower, median, upper = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return Spread(median, lower, upper)


def _ratio(goal: Goal, rounds: Rounds, counts: bool) -> Ratio:
    # Round by round: what slows the machine down for a while slows both down.
    ratio = spread([top / bottom for top, bottom in zip(rounds[goal.top], rounds[goal.bottom], strict=True)])
    met = None
    if counts and goal.target is not None:
        met = ratio.median <= goal.target if goal.at_most else ratio.median >= goal.target
    return Ratio(f"{goal.top} / {goal.bottom}", ratio, goal.target, goal.at_most, met)
