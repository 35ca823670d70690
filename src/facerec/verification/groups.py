"""Error rates by group at a common threshold, and the gap between the groups.

A pair counts in a group if both of its images do, so that the non-mated pairs of a group are of its own people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facerec.verification.all_pairs import AllPairs
from facerec.verification.dependence import PairSums, variance_of
from facerec.verification.intervals import Interval, wilson
from facerec.verification.match_rates import mated_sums, non_mated_sums


@dataclass(frozen=True)
class Rate:
    """A rate of ``pairs`` pairs, with its 95 % interval over pairs that share people."""

    rate: float
    interval: Interval
    pairs: int


@dataclass(frozen=True)
class GroupRates:
    """The rates of a group; None if it has no pair of the kind."""

    images: int
    people: int
    fmr: Rate | None
    fnmr: Rate | None

    def summary(self) -> dict[str, object]:
        """Return the rates for `json.dump`."""
        found: dict[str, object] = {"images": self.images, "people": self.people}
        for name, rate in (("fmr", self.fmr), ("fnmr", self.fnmr)):
            found[name] = None if rate is None else rate.rate
            found[f"{name}_interval"] = None if rate is None else list(rate.interval)
        return found | {
            "non_mated_pairs": 0 if self.fmr is None else self.fmr.pairs,
            "mated_pairs": 0 if self.fnmr is None else self.fnmr.pairs,
        }


def rates_by_group(pairs: AllPairs, groups: Sequence[str | None], step: int) -> dict[str, GroupRates]:
    """Return the rates by group at the threshold ``step`` of an `OperatingPoint` of ``pairs``.

    ``groups`` ``(N,)`` names the group of each image; None for an image that counts in none.
    """
    names = sorted({group for group in groups if group is not None})
    return {name: _rates(pairs, np.array([group == name for group in groups]), step) for name in names}


def gap(rates: Mapping[str, GroupRates]) -> dict[str, float | None]:
    """Return the largest minus the smallest FMR and FNMR of groups that have one; None for fewer than two groups."""
    found: dict[str, float | None] = {}
    for name in ("fmr", "fnmr"):
        values = [rate.rate for group in rates.values() if (rate := getattr(group, name)) is not None]
        found[name] = max(values) - min(values) if len(values) > 1 else None
    return found


def _rates(pairs: AllPairs, inside: np.ndarray, step: int) -> GroupRates:
    people, counts = np.unique(pairs.person[inside], return_counts=True)
    number = np.zeros(pairs.num_people, np.int64)
    number[people] = np.arange(len(people))
    mated, top = (inside[some.one] & inside[some.other] for some in (pairs.mated, pairs.top))
    top &= pairs.top.steps > step
    accepted = pairs.mated.steps[mated] > step
    of_mated = number[pairs.person[pairs.mated.one[mated]]]
    one, other = (number[pairs.person[side[top]]] for side in (pairs.top.one, pairs.top.other))
    non_mated = int(counts.sum() ** 2 - np.square(counts).sum()) // 2
    fmr = _rate(len(one), non_mated, non_mated_sums(one, other, counts)) if non_mated else None
    errors = int(np.count_nonzero(~accepted))
    fnmr = _rate(errors, len(accepted), mated_sums(~accepted, of_mated, len(people))) if len(accepted) else None
    return GroupRates(int(inside.sum()), len(people), fmr, fnmr)


def _rate(errors: int, pairs: int, sums: PairSums) -> Rate:
    return Rate(errors / pairs, wilson(errors / pairs, variance_of(sums), len(sums.of_person)), pairs)
