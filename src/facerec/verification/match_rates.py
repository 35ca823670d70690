"""Error rates of comparisons (ISO/IEC 19795-1) over all pairs: FNMR at an FMR, with the threshold and the interval.

The false match rate FMR is the fraction of non-mated pairs, of two people, that are accepted; the false non-match rate
FNMR is the fraction of mated pairs, of one person, that are not. A pair is accepted if its cosine is above the
threshold.
"""

from dataclasses import dataclass

import numpy as np

from facerec.verification.all_pairs import STEPS, AllPairs, allowed_false_matches
from facerec.verification.dependence import PairSums, couples, variance_of
from facerec.verification.intervals import LEAST_FALSE_ACCEPTS, Interval, TarParts, interval_of_tar

FMRS = {"1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4, "1e-5": 1e-5, "1e-6": 1e-6}
DECISION = (
    "accepted as the same person if the cosine of the two embeddings is above the threshold; nothing is subtracted "
    "from an embedding, and a cosine c is the squared distance 2 - 2 c of embeddings that are scaled to length 1"
)


@dataclass(frozen=True)
class OperatingPoint:
    """The FNMR at the threshold with the most false matches that ``fmr`` allows.

    ``step`` is the threshold in steps of `all_pairs.STEPS`. ``false_matches`` are the pairs above it, fewer than
    allowed where some tie. Without an ``interval``, ``reason`` says why.
    """

    fmr: float
    step: int
    false_matches: int
    fnmr: float
    interval: Interval | None
    reason: str

    @property
    def threshold(self) -> float:
        """The threshold as a cosine."""
        return self.step / STEPS

    def summary(self) -> dict[str, object]:
        """Return the point for `json.dump`."""
        return {
            "fnmr": self.fnmr,
            "interval": None if self.interval is None else list(self.interval),
            "cosine_threshold": self.threshold,
            "squared_distance_threshold": 2 - 2 * self.threshold,
            "false_matches": self.false_matches,
            **({"no_interval": self.reason} if self.reason else {}),
        }


def operating_points(pairs: AllPairs) -> tuple[dict[str, OperatingPoint], dict[str, str]]:
    """Return the point at each of `FMRS` that the non-mated pairs resolve, and the reason for each that they do not."""
    points, refused = {}, {}
    for key, fmr in FMRS.items():
        try:
            points[key] = operating_point(pairs, fmr)
        except ValueError as error:
            refused[key] = str(error)
    return points, refused


def operating_point(pairs: AllPairs, fmr: float) -> OperatingPoint:
    """Return the point at ``fmr``, at most `all_pairs.MOST_FMR`; `ValueError` if one false match is already more."""
    parts = _AllPairParts(pairs, fmr)
    number = pairs.num_non_mated
    if parts.false_accepts == 0:
        raise ValueError(
            f"FMR {fmr:g} cannot be resolved with {number} non-mated pairs, of which one is already {1 / number:.2g}: "
            f"bring images for at least {int(np.ceil(1 / fmr))} such pairs"
        )
    interval, reason = interval_of_tar(parts), ""
    if interval is None:
        reason = (
            f"FMR {fmr:g} allows {parts.false_accepts} of {number} non-mated pairs: below {LEAST_FALSE_ACCEPTS}, the "
            "threshold is known too badly for an interval"
        )
    else:
        interval = Interval(1 - interval.high, 1 - interval.low)
    return OperatingPoint(fmr, parts.step, pairs.false_matches(parts.step), pairs.fnmr(parts.step), interval, reason)


def mated_sums(accepted: np.ndarray, person: np.ndarray, num_people: int) -> PairSums:
    """Return the sums of the errors of the rate of ``accepted`` mated pairs, bool ``(P,)``, of ``person`` ``(P,)``."""
    number, rate = len(accepted), float(np.mean(accepted))
    of_person = np.bincount(person, accepted - rate, num_people) / number
    return PairSums(of_person, 0.0, rate * (1 - rate) / number)


def non_mated_sums(one: np.ndarray, other: np.ndarray, images: np.ndarray) -> PairSums:
    """Return those of accepted non-mated pairs, of people ``one`` and ``other`` ``(P,)``, among all that there are.

    ``images`` ``(G,)`` are the numbers of images per person. The terms of the pairs that are not accepted are all
    equal, so that numbers of pairs stand for them: person i has n_i (N - n_i), and two people have n_i n_j.
    """
    total = int(images.sum())
    of_person = images * (total - images)
    number = int(of_person.sum()) // 2
    rate = len(one) / number
    accepted = np.bincount(one, minlength=len(images)) + np.bincount(other, minlength=len(images))
    couple, of_couple = np.unique(couples(one, other, len(images)), return_counts=True)
    both = images[couple // len(images)] * images[couple % len(images)]
    squares = images.astype(np.float64) ** 2
    everywhere = (squares.sum() ** 2 - np.square(squares).sum()) / 2  # of (n_i n_j)^2, over all couples
    of_couples = np.square(of_couple).sum() - 2 * rate * (of_couple * both).sum() + rate**2 * everywhere
    return PairSums((accepted - rate * of_person) / number, float(of_couples) / number**2, rate * (1 - rate) / number)


class _AllPairParts(TarParts):
    """The parts of all pairs, without a list of the non-mated ones."""

    def __init__(self, pairs: AllPairs, fmr: float) -> None:
        self.far, self.pairs, self.num_people = fmr, pairs, pairs.num_people
        self.false_accepts = allowed_false_matches(fmr, pairs.num_non_mated)
        self.step = pairs.nth_similar(self.false_accepts)
        self.tar = 1 - pairs.fnmr(self.step)
        mated, top = pairs.mated, pairs.top
        above = top.steps > self.step
        self.in_tar = mated_sums(mated.steps > self.step, pairs.person[mated.one], pairs.num_people)
        one, other = pairs.person[top.one[above]], pairs.person[top.other[above]]
        self.in_far = non_mated_sums(one, other, np.bincount(pairs.person))

    def variance(self, of_tar: float, of_far: float) -> float:
        tar, far = self.in_tar, self.in_far
        together = of_tar * tar.of_person + of_far * far.of_person
        squares = of_tar**2 * tar.squares + of_far**2 * far.squares
        return variance_of(PairSums(together, of_far**2 * far.couples, squares))

    def tar_at(self, far: float) -> float:
        rank = float(np.clip(far, 0, 1)) * (self.pairs.num_non_mated - 1)
        one, next_one = (self.pairs.nth_similar(int(number)) for number in (np.floor(rank), np.ceil(rank)))
        return 1 - self.pairs.fnmr(one + (rank - np.floor(rank)) * (next_one - one))


def det_points(pairs: AllPairs, number: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return FMR and FNMR at up to ``number`` thresholds, whose FMRs are spaced evenly on a logarithmic axis.

    The first has no false match, and the last accepts everything.
    """
    ranks = np.geomspace(1, pairs.num_non_mated, number).astype(np.int64) - 1
    steps = sorted({-STEPS - 1, *map(pairs.nth_similar, ranks.tolist())}, reverse=True)
    fmr = np.array([pairs.false_matches(step) for step in steps]) / pairs.num_non_mated
    return fmr, np.array([pairs.fnmr(step) for step in steps])
