"""Whether one group of runs is better than another: paired over seeds and pairs, both as random samples.

Pairs are a sample of the population's, and seeds of all first values and orders that a training may have. The variance
of a mean difference over seeds and pairs is the sum of the variances over each, minus what both contain: the variance
over pairs of each seed apart (two-way clustering: Cameron, Gelbach and Miller, JBES 2011).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from facerec.verification.dependence import PairPeople, dependent_variance
from facerec.verification.intervals import THRESHOLD_NOISE, Interval, quantile, wilson

POWER = 0.8
_MOST_SEEDS = 1000


class Measured(NamedTuple):
    """A rate that was measured on pairs, and the terms ``(P,)`` of its error (`intervals.accuracy_terms`).

    ``noise`` multiplies their variance: an accuracy's thresholds come from the same pairs, which its terms do not tell.
    """

    rate: float
    terms: np.ndarray
    noise: float = THRESHOLD_NOISE

    def variance(self, people: PairPeople) -> float:
        """Return the variance of the rate over pairs that share people."""
        return self.noise * dependent_variance(self.terms, people)


class Comparison(NamedTuple):
    """The mean difference over seeds, as fractions.

    Attributes:
        difference: the second group's mean minus the first's.
        interval: its 95 % interval, over seeds and pairs; with one seed over pairs alone.
        p: of the two-sided test that the difference is 0; None with one seed.
        seeds: number of seeds.
        seeds_needed: the number of seeds with which a true difference of this size would be found with a probability of
            80 %; None with one seed, or if the pairs are too few for any number of seeds.
    """

    difference: float
    interval: Interval
    p: float | None
    seeds: int
    seeds_needed: int | None


class Variances(NamedTuple):
    """Of a mean over seeds: over pairs alone, over seeds alone (None with one seed), and what both contain."""

    pairs: float
    seeds: float | None
    shared: float

    def total(self) -> float:
        """Return the variance over both, never below either."""
        if self.seeds is None:
            return self.pairs
        return max(self.pairs + self.seeds - self.shared, self.pairs, self.seeds)

    def degrees_of_freedom(self, num_seeds: int, num_people: int) -> float:
        """Return those of the total by Satterthwaite's formula, which is too generous with two seeds: then 1."""
        if num_seeds == 2:
            return 1.0
        parts = [(self.pairs, max(num_people - 1, 1))]
        parts += [] if self.seeds is None else [(self.seeds, num_seeds - 1)]
        weight = sum(part**2 / freedom for part, freedom in parts)
        return max(self.total() ** 2 / weight, 1.0) if weight else parts[-1][1]

    def with_seeds(self, now: int, then: int) -> "Variances":
        """Return those expected with ``then`` seeds in place of ``now``."""
        assert self.seeds is not None
        common = max(self.pairs - self.shared, 0.0)
        return Variances(common + self.shared * now / then, self.seeds * now / then, self.shared * now / then)


def variances(measured: Sequence[Measured], people: PairPeople) -> Variances:
    """Return the variances of the mean rate of runs with different seeds on the same pairs."""
    number = len(measured)
    mean = Measured(0.0, np.mean([m.terms for m in measured], axis=0), measured[0].noise)
    pairs = mean.variance(people)
    if number < 2:
        return Variances(pairs, None, 0.0)
    apart = sum(m._replace(terms=m.terms - mean.terms).variance(people) for m in measured)
    seeds = float(np.var([m.rate for m in measured], ddof=1)) / number
    return Variances(pairs, seeds, apart / (number * (number - 1)))


def compare(first: Sequence[Measured], second: Sequence[Measured], people: PairPeople) -> Comparison:
    """Compare two groups of runs, in the same order of seeds, on the same pairs of ``people``."""
    paired = [Measured(b.rate - a.rate, b.terms - a.terms, a.noise) for a, b in zip(first, second, strict=True)]
    found = variances(paired, people)
    difference = float(np.mean([pair.rate for pair in paired]))
    error, freedom = np.sqrt(found.total()), found.degrees_of_freedom(len(paired), people.num_people)
    reach = float(quantile(freedom) * error)
    return Comparison(
        difference,
        Interval(max(difference - reach, -1.0), min(difference + reach, 1.0)),
        None if found.seeds is None else _p(difference, error, freedom),
        len(paired),
        None if found.seeds is None else seeds_needed(difference, found, len(paired), people.num_people),
    )


def _p(difference: float, error: float, freedom: float) -> float:
    if error == 0:
        return float(difference == 0)
    return float(2 * stats.t.sf(abs(difference) / error, freedom))


def seeds_needed(difference: float, found: Variances, num_seeds: int, num_people: int) -> int | None:
    """Return the least number of seeds, 2 or more, that finds a true ``difference`` with a power of 80 %."""
    for number in range(2, _MOST_SEEDS + 1):
        then = found.with_seeds(num_seeds, number)
        freedom = then.degrees_of_freedom(number, num_people)
        if (quantile(freedom) + stats.t.ppf(POWER, freedom)) * np.sqrt(then.total()) <= abs(difference):
            return number
    return None


def mean_interval(measured: Sequence[Measured], people: PairPeople) -> Interval:
    """Return the 95 % interval of the mean rate of runs with different seeds, over seeds and pairs."""
    found = variances(measured, people)
    mean = float(np.mean([m.rate for m in measured]))
    freedom = found.degrees_of_freedom(len(measured), people.num_people)
    return wilson(mean, found.total(), people.num_people, freedom)


def is_decided(p: float | None) -> bool:
    """Return whether a corrected p value decides: below 0.05; None, as with one seed, does not."""
    return p is not None and p < 0.05


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p values corrected for their number (Holm, Scandinavian Journal of Statistics 1979)."""
    order, largest, corrected = np.argsort(ps, kind="stable"), 0.0, [0.0] * len(ps)
    for rank, index in enumerate(order.tolist()):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[index]))
        corrected[index] = largest
    return corrected
