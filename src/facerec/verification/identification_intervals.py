"""95 % intervals of identification rates, over people.

Rank-n rates have Wilson's interval, with as many independent probes as give the variance of `identification_errors`.
FNIR is that of a threshold that the non-mated probes determine, and its interval is that of 1 - TAR at a FAR
(`intervals.interval_of_tar`): a part from the mated probes at the threshold, one from the thresholds whose FPIR is
within its standard error, and the correlation of both, since a person can be in the gallery, or apart in another draw.
``facerec benchmark sections=coverage`` measures how often the intervals contain a known true value.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from facerec.verification.all_pairs import allowed_false_matches
from facerec.verification.gaps import GroupRate
from facerec.verification.identification import FPIRS, Draw
from facerec.verification.identification_errors import Decided, Errors, errors_of, mean_of, weighted
from facerec.verification.intervals import (
    LEAST_FALSE_ACCEPTS,
    Interval,
    TarParts,
    interval_of_tar,
    threshold_slope,
    wilson,
)


class Estimate(NamedTuple):
    """The 95 % ``interval`` of a rate, and what `gaps.gap_interval` needs; both None for a ``reason``."""

    interval: Interval | None
    rate: GroupRate | None
    reason: str = ""


def of_rank(draws: Sequence[Draw], rank: int, group: str | None = None) -> Estimate:
    """Return that of the rank-``rank`` rate, of all mated probes or those of a ``group``."""
    probes = _Probes(draws, group)
    if probes.reason:
        return Estimate(None, None, probes.reason)
    errors, rates = [], []
    for draw, chosen in probes.draws:
        hits, person = draw.searches.rank <= rank, draw.person[draw.roles.mated]
        ahead = draw.searches.ahead[rank].of(chosen)
        errors.append(errors_of(hits, person, chosen, ahead, -1, _enrolled(draw)))
        rates.append(np.mean(hits[chosen]))
    return _estimate(float(np.mean(rates)), mean_of(errors), probes.num_people)


def of_fnir(draws: Sequence[Draw], key: str, group: str | None = None) -> Estimate:
    """Return that of the FNIR at ``FPIRS[key]``, of all mated probes or those of a ``group``."""
    probes = _Probes(draws, group)
    reason = probes.reason or _unknown_threshold(draws, key)
    if reason:
        return Estimate(None, None, reason)
    parts = _SearchParts(probes, key)
    interval = interval_of_tar(parts)
    assert interval is not None  # _unknown_threshold has looked
    errors = parts.errors(-1, threshold_slope(parts)[2])
    return _estimate(1 - parts.tar, errors, probes.num_people)._replace(
        interval=Interval(1 - interval.high, 1 - interval.low)
    )


def _estimate(rate: float, errors: Errors, num_people: int) -> Estimate:
    variance = errors.variance(num_people)
    return Estimate(wilson(rate, variance, num_people), GroupRate(rate, variance, num_people, errors.total))


class _Probes:
    """The mated probes of a group: ``draws`` that have some, each with bool ``(M,)``, and how many people they show.

    ``reason`` says why an interval is not possible.
    """

    def __init__(self, draws: Sequence[Draw], group: str | None) -> None:
        everyone = [(draw, _chosen(draw, group)) for draw in draws]
        self.draws = [(draw, chosen) for draw, chosen in everyone if chosen.any()]
        people = [draw.person[draw.roles.mated[chosen]] for draw, chosen in self.draws]
        self.num_people = len(np.unique(np.concatenate(people))) if people else 0
        self.reason = ""
        if self.num_people < 2:
            self.reason = f"the mated probes show {self.num_people} people, and an interval over people needs two"


def _chosen(draw: Draw, group: str | None) -> np.ndarray:
    if group is None:
        return np.ones(len(draw.roles.mated), bool)
    return draw.group[draw.roles.mated] == group


def _enrolled(draw: Draw) -> np.ndarray:
    return np.bincount(draw.person[draw.roles.gallery], minlength=int(draw.person.max()) + 1) > 0


def _unknown_threshold(draws: Sequence[Draw], key: str) -> str:
    """Return why the threshold of an FPIR is known too badly for an interval; empty if it is not."""
    fpir, least = FPIRS[key], min(len(draw.roles.non_mated) for draw in draws)
    allowed = allowed_false_matches(fpir, least)
    if allowed < LEAST_FALSE_ACCEPTS:
        return (
            f"FPIR {fpir:g} allows {allowed} of {least} non-mated probes: below {LEAST_FALSE_ACCEPTS}, the threshold "
            "is known too badly for an interval"
        )
    people = len(np.unique(np.concatenate([draw.person[draw.roles.non_mated] for draw in draws])))
    if allowed_false_matches(fpir, people) == 0:
        return f"the non-mated probes show {people} people, one of whom is already more than FPIR {fpir:g}"
    return ""


class _SearchParts(TarParts):
    """The parts of searches: TAR is 1 - FNIR, and FAR is FPIR."""

    def __init__(self, probes: _Probes, key: str) -> None:
        self.far, self.num_people, self.probes = FPIRS[key], probes.num_people, probes
        self.false_accepts = min(allowed_false_matches(self.far, len(draw.roles.non_mated)) for draw, _ in probes.draws)
        self.tar = self._mean_tar([draw.thresholds[key] for draw, _ in probes.draws])
        self.in_tar = mean_of([_returned(draw, chosen, draw.thresholds[key]) for draw, chosen in probes.draws])
        self.in_far = mean_of([falsely_returned(draw, draw.thresholds[key]) for draw, _ in probes.draws])

    def errors(self, of_tar: float, of_far: float) -> Errors:
        return weighted([self.in_tar, self.in_far], [of_tar, of_far])

    def variance(self, of_tar: float, of_far: float) -> float:
        return self.errors(of_tar, of_far).variance(self.num_people)

    def tar_at(self, far: float) -> float:
        level = 1 - float(np.clip(far, 0, 1))
        return self._mean_tar([float(np.quantile(draw.searches.best, level)) for draw, _ in self.probes.draws])

    def _mean_tar(self, thresholds: Sequence[float]) -> float:
        each = zip(self.probes.draws, thresholds, strict=True)
        return float(np.mean([np.mean(_is_returned(draw, step)[chosen]) for (draw, chosen), step in each]))


def _is_returned(draw: Draw, step: float) -> np.ndarray:
    return (draw.searches.rank == 1) & (draw.searches.own > step)


def _returned(draw: Draw, chosen: np.ndarray, step: int) -> Errors:
    decided = draw.searches.ahead[1].of(chosen & (draw.searches.own > step))
    person = draw.person[draw.roles.mated]
    return errors_of(_is_returned(draw, step), person, chosen, decided, -1, _enrolled(draw))


def falsely_returned(draw: Draw, step: int) -> Errors:
    """Return the errors of the FPIR at a threshold in steps."""
    searches, person = draw.searches, draw.person[draw.roles.non_mated]
    hits = searches.best > step
    decided = np.flatnonzero(hits & (searches.second <= step))
    everyone = np.ones(len(hits), bool)
    return errors_of(hits, person, everyone, Decided(decided, searches.nearest[decided]), 1, _enrolled(draw))
