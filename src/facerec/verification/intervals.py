"""95 % intervals of accuracies and error rates over pairs that share people.

Every rate is, to first order, its true value plus a sum of one term per pair. The variance of that sum respects that
pairs share people (`dependence.dependent_variance`), and Wilson's interval is formed with as many independent pairs as
would give the same variance: of the methods that Fogliato, Patil and Perona compare (arXiv 2306.01198), the one that
keeps its coverage for rates near 0 and 1. A bootstrap over people would multiply the weights of the two people of each
different-person pair, which triples the variance where people are in few pairs, as in LFW's list.
``facerec benchmark sections=coverage`` measures how often the intervals contain a known true value.
"""

from abc import abstractmethod
from typing import NamedTuple, Protocol

import numpy as np
from scipy import stats

from facerec.verification.dependence import PairPeople, dependent_variance

LEVEL = 0.95
# Below this number of false accepts, the threshold at a FAR is known too badly for an interval.
LEAST_FALSE_ACCEPTS = 10
# The thresholds of the folds come from the same data, which adds 10 to 20 % to the variance of an accuracy in
# simulations of LFW's and CFP's lists; a bootstrap overestimates it, since it repeats pairs (0.5 to 0.7).
THRESHOLD_NOISE = 1.15


class Interval(NamedTuple):
    """The bounds of a 95 % interval, fractions."""

    low: float
    high: float


def quantile(degrees_of_freedom: float, level: float = LEVEL) -> float:
    """Return the factor of the standard error in an interval, by default a 95 % one."""
    return float(stats.t.ppf((1 + level) / 2, degrees_of_freedom))


def wilson(
    rate: float, variance: float, num_people: int, degrees_of_freedom: float | None = None, level: float = LEVEL
) -> Interval:
    """Return Wilson's interval of a rate whose ``variance`` was estimated with ``degrees_of_freedom``, by default one
    fewer than people.

    Where the variance is 0, since all decisions are equal, each person counts as one independent decision.
    """
    number = rate * (1 - rate) / variance if variance > 0 and 0 < rate < 1 else num_people
    z = quantile(max(num_people - 1, 1) if degrees_of_freedom is None else degrees_of_freedom, level)
    centre = (rate + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z / (1 + z**2 / number) * np.sqrt(rate * (1 - rate) / number + z**2 / (4 * number**2))
    return Interval(max(float(centre - half), 0.0), min(float(centre + half), 1.0))


def accuracy_terms(correct: np.ndarray, folds: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean over folds of the fraction of correct decisions, and its error's terms ``(P,)``.

    ``correct`` is bool, ``folds`` an index, ``(P,)``.
    """
    _, folds, sizes = np.unique(folds, return_inverse=True, return_counts=True)
    weights = 1 / (len(sizes) * sizes[folds])
    accuracy = float(weights @ correct)
    return accuracy, weights * (correct - accuracy)


def balanced_terms(correct: np.ndarray, is_same: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean over both kinds of pairs of the fraction of correct decisions, and its error's terms ``(P,)``."""
    _, kinds, sizes = np.unique(is_same, return_inverse=True, return_counts=True)
    weights = 1 / (len(sizes) * sizes[kinds])
    rates = np.bincount(kinds, correct) / sizes
    return float(rates.mean()), weights * (correct - rates[kinds])


def accuracy_variance(terms: np.ndarray, people: PairPeople) -> float:
    """Return the variance of an accuracy with these terms of `accuracy_terms`, or of a mean or difference of some."""
    return THRESHOLD_NOISE * dependent_variance(terms, people)


def tar_interval(scores: np.ndarray, is_same: np.ndarray, far: float, people: PairPeople) -> Interval | None:
    """Return the 95 % interval of the TAR at ``far``; None with fewer than `LEAST_FALSE_ACCEPTS` false accepts.

    ``scores`` are distances ``(P,)``. Same-person pairs determine the TAR at a threshold, and Wilson's interval is
    that of this part. Different-person pairs determine the threshold; its interval is that of all thresholds whose FAR
    is within the standard error of ``far`` (Woodruff, JASA 1952), and TAR at both ends gives this part. The two are
    combined by the squares of their arms and by their correlation (MOVER: Zou and Donner, Statistics in Medicine 2008).
    """
    return interval_of_tar(_ListedParts(scores, is_same, far, people))


def tar_terms(scores: np.ndarray, is_same: np.ndarray, far: float, people: PairPeople) -> tuple[float, np.ndarray]:
    """Return the TAR at ``far`` and the terms of its error ``(P,)``: of the same-person pairs at the threshold, minus,
    for the threshold, those of the FAR times the slope of the TAR over the FAR.

    Raises `ValueError` with fewer than `LEAST_FALSE_ACCEPTS` false accepts, which is too few to know the threshold.
    """
    parts = _ListedParts(scores, is_same, far, people)
    if parts.false_accepts < LEAST_FALSE_ACCEPTS:
        number = len(parts.different)
        raise ValueError(
            f"a rate of {far:g} allows {parts.false_accepts} of {number} different-person pairs, and with fewer than "
            f"{LEAST_FALSE_ACCEPTS} the threshold is known too badly: take a larger rate, or bring at least "
            f"{int(np.ceil(LEAST_FALSE_ACCEPTS / far))} such pairs"
        )
    return parts.tar, parts.in_tar - threshold_slope(parts)[2] * parts.in_far


class TarParts(Protocol):
    """What determines the ``tar`` at a ``far``: the same-person pairs below a threshold, and the different-person
    pairs.

    ``false_accepts`` is how many the threshold may have, ``num_people`` how many people are in the pairs.
    """

    far: float
    tar: float
    false_accepts: int
    num_people: int

    @abstractmethod
    def variance(self, of_tar: float, of_far: float) -> float:
        """Return the variance of the sum of both rates at the threshold, times ``of_tar`` and ``of_far``."""

    @abstractmethod
    def tar_at(self, far: float) -> float:
        """Return the TAR at the quantile ``far`` of the different-person pairs."""


def interval_of_tar(parts: TarParts) -> Interval | None:
    """Return the interval of `tar_interval` from its parts."""
    if parts.false_accepts < LEAST_FALSE_ACCEPTS:
        return None
    tar = parts.tar
    of_same, of_threshold, correlation = _combined(parts)
    low = _arm(tar - of_same.low, tar - of_threshold.low, correlation)
    high = _arm(of_same.high - tar, of_threshold.high - tar, correlation)
    return Interval(max(tar - low, 0.0), min(tar + high, 1.0))


def _arm(one: float, other: float, correlation: float) -> float:
    return float(np.sqrt(max(one**2 + other**2 + 2 * correlation * one * other, 0.0)))


def _combined(parts: TarParts) -> tuple[Interval, Interval, float]:
    """Return the intervals of the two parts and their correlation."""
    of_tar = parts.variance(1, 0)
    of_far, ends, slope = threshold_slope(parts)
    # More false accepts at a threshold than by the FAR mean that the right threshold is lower: hence the minus.
    product = 2 * slope * np.sqrt(of_tar * of_far)
    correlation = (parts.variance(1, -slope) - of_tar - slope**2 * of_far) / product if product else 0.0
    return wilson(parts.tar, of_tar, parts.num_people), ends, float(np.clip(correlation, -1, 1))


def threshold_slope(parts: TarParts) -> tuple[float, Interval, float]:
    """Return the variance of the FAR, the TAR at both ends of its interval, and the slope between them."""
    of_far = parts.variance(0, 1)
    reach = quantile(max(parts.num_people - 1, 1)) * np.sqrt(of_far)
    ends = Interval(parts.tar_at(parts.far - reach), parts.tar_at(parts.far + reach))
    return of_far, ends, (ends.high - ends.low) / (2 * reach) if reach else 0.0


class _ListedParts(TarParts):
    """The parts of pairs that are listed, with distances ``scores`` ``(P,)``."""

    def __init__(self, scores: np.ndarray, is_same: np.ndarray, far: float, people: PairPeople) -> None:
        self.far, self.people, self.num_people = far, people, people.num_people
        self.same, self.different = np.sort(scores[is_same]), np.sort(scores[~is_same])
        self.false_accepts = int(far * len(self.different) * (1 + 1e-12))
        threshold = self.different[self.false_accepts] if self.false_accepts < len(self.different) else np.inf
        below = scores < threshold
        self.tar = float(np.mean(below[is_same]))
        self.in_tar = np.where(is_same, below - self.tar, 0) / len(self.same)
        self.in_far = np.where(is_same, 0, below - np.mean(below[~is_same])) / len(self.different)

    def variance(self, of_tar: float, of_far: float) -> float:
        return dependent_variance(of_tar * self.in_tar + of_far * self.in_far, self.people)

    def tar_at(self, far: float) -> float:
        threshold = np.quantile(self.different, np.clip(far, 0, 1))
        return float(np.searchsorted(self.same, threshold) / len(self.same))
