"""The gap between groups: the largest minus the smallest of their rates, with its 95 % interval.

A difference of two rates has the interval that their Wilson intervals give with their correlation (MOVER: Zou and
Donner, Statistics in Medicine 2008); rates of groups that share people are correlated. The gap is that of whichever
groups are furthest apart. So the differences of all pairs of groups have intervals that hold together (Bonferroni), and
the gap is at least the largest of their lower bounds and at most the largest of their upper ones. With more than two
groups, this is wider than 95 % asks for.
"""

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np

from facerec.verification.intervals import LEVEL, Interval, wilson


class GroupRate(NamedTuple):
    """A rate, its variance over ``num_people``, and its error by person ``(G,)``, in one order for all groups."""

    rate: float
    variance: float
    num_people: int
    of_person: np.ndarray


def gap_interval(rates: Sequence[GroupRate]) -> Interval:
    """Return the 95 % interval of the gap of two or more groups."""
    level = 1 - (1 - LEVEL) / (len(rates) * (len(rates) - 1) / 2)
    differences = [_difference(one, other, level) for one, other in permutations(rates, 2)]
    low, high = (max(bounds) for bounds in zip(*differences, strict=True))
    return Interval(max(low, 0.0), min(high, 1.0))


def _difference(one: GroupRate, other: GroupRate, level: float) -> Interval:
    """Return the interval of the first rate minus the second."""
    (low, high), (other_low, other_high) = (
        wilson(of.rate, of.variance, of.num_people, level=level) for of in (one, other)
    )
    product = np.sqrt(one.variance * other.variance)
    together = float(np.clip(one.of_person @ other.of_person / product, -1, 1)) if product else 0.0
    difference = one.rate - other.rate
    below = _arm(one.rate - low, other_high - other.rate, together)
    above = _arm(high - one.rate, other.rate - other_low, together)
    return Interval(difference - below, difference + above)


def _arm(one: float, other: float, correlation: float) -> float:
    return float(np.sqrt(max(one**2 + other**2 - 2 * correlation * one * other, 0.0)))
