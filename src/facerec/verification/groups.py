"""Error rates by group at a common threshold, and the gap between the groups.

A pair counts in a group if both of its images do, so that the non-mated pairs of a group are of its own people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from facerec.verification.all_pairs import MOST_FMR, AllPairs
from facerec.verification.dependence import PairSums, variance_of
from facerec.verification.gaps import GroupRate, gap_interval
from facerec.verification.intervals import Interval, wilson
from facerec.verification.match_rates import mated_sums, non_mated_sums, operating_points


@dataclass(frozen=True)
class Rate:
    """A rate of ``pairs`` pairs, with its 95 % interval over pairs that share people.

    ``errors`` is what `gap_interval` needs.
    """

    rate: float
    interval: Interval
    pairs: int
    errors: GroupRate = field(repr=False, compare=False)


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


def gap(rates: Mapping[str, GroupRates]) -> dict[str, object]:
    """Return, for `json.dump`, the largest minus the smallest FMR and FNMR of groups that have one, with the interval
    of `gap_interval` and, in its absence, the reason.

    The threshold is taken as given. Where people are in several groups, the FMR's gap has no interval: pairs of the
    same two people may be in several groups as well, and how they depend on each other is not known.
    """
    found: dict[str, object] = {}
    for name in ("fmr", "fnmr"):
        of = [rate for group in rates.values() if (rate := getattr(group, name)) is not None]
        values = [rate.rate for rate in of]
        found[name] = max(values) - min(values) if len(values) > 1 else None
        reason = "fewer than two groups have such a pair" if len(of) < 2 else ""
        if name == "fmr" and len(of) > 1 and np.sum([rate.errors.of_person != 0 for rate in of], axis=0).max() > 1:
            reason = "people are in several groups"
        found[f"{name}_interval"] = None if reason else list(gap_interval([rate.errors for rate in of]))
        found |= {f"{name}_no_interval": reason} if reason else {}
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
    place = people, pairs.num_people
    fmr = _rate(len(one), non_mated, non_mated_sums(one, other, counts), *place) if non_mated else None
    errors = int(np.count_nonzero(~accepted))
    fnmr = _rate(errors, len(accepted), mated_sums(~accepted, of_mated, len(people)), *place) if len(accepted) else None
    return GroupRates(int(inside.sum()), len(people), fmr, fnmr)


def _rate(errors: int, pairs: int, sums: PairSums, people: np.ndarray, number: int) -> Rate:
    """Return the rate; ``people`` are those of the group, of a ``number`` in all groups."""
    rate, variance, of_person = errors / pairs, variance_of(sums), np.zeros(number)
    of_person[people] = sums.of_person
    interval = wilson(rate, variance, len(people))
    return Rate(rate, interval, pairs, GroupRate(rate, variance, len(people), of_person))


def rates_at(pairs: AllPairs, step: int) -> tuple[GroupRates, str]:
    """Return the rates of all ``pairs`` at a ``step`` that was chosen elsewhere and is taken as given.

    The FMR is None, with the reason, if more non-mated pairs are above the step than `AllPairs` keeps.
    """
    rates, above = _rates(pairs, np.ones(len(pairs.person), bool), step), int((pairs.top.steps > step).sum())
    if above == pairs.false_matches(step):
        return rates, ""
    reason = f"the FMR is above {MOST_FMR:g}, up to which non-mated pairs are kept one by one"
    return replace(rates, fmr=None), reason


def applied_elsewhere(benchmarks: Mapping[str, AllPairs]) -> list[dict[str, Any]]:
    """Return, for each threshold chosen at an FMR on one benchmark, FMR and FNMR that it has on each other one, with
    their 95 % intervals at this threshold."""
    return [
        {"chosen_on": chosen_on, "fmr_there": key, "cosine_threshold": point.threshold, "applied_to": applied_to}
        | _elsewhere(theirs, point.step)
        for chosen_on, pairs in benchmarks.items()
        for key, point in operating_points(pairs)[0].items()
        for applied_to, theirs in benchmarks.items()
        if applied_to != chosen_on
    ]


def _elsewhere(pairs: AllPairs, step: int) -> dict[str, Any]:
    rates, reason = rates_at(pairs, step)
    found: dict[str, Any] = {"fmr": pairs.false_matches(step) / pairs.num_non_mated, "fnmr": pairs.fnmr(step)}
    for name, rate in (("fmr", rates.fmr), ("fnmr", rates.fnmr)):
        found[f"{name}_interval"] = None if rate is None else list(rate.interval)
    return found | ({"fmr_no_interval": reason} if reason else {})
