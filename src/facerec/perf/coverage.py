"""How often 95 % intervals contain the true value, in data that are drawn from a model with known rates."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from scipy import stats

from facerec.perf.comparison import Case, Rounds
from facerec.perf.timing import Effort
from facerec.verification.dependence import PairPeople, named_people
from facerec.verification.gaps import gap_interval
from facerec.verification.identification import FPIRS, RANKS, identify
from facerec.verification.identification_intervals import Estimate, of_fnir, of_rank
from facerec.verification.intervals import (
    Interval,
    accuracy_terms,
    accuracy_variance,
    quantile,
    tar_interval,
    wilson,
)
from facerec.verification.paired_comparison import Measured, compare
from facerec.verification.protocols import PROTOCOLS

_ROUNDS, _DRAWS, _FOLDS = 4, 500, 10
_OWN, _THEIRS, _NOISE = 0.5, 0.5, 0.7  # spreads of a person's same-person and different-person pairs, and of a pair
_FARS = (1e-1, 1e-2)


class Design(NamedTuple):
    """Pairs like those of a benchmark: ``per_person`` same-person pairs of each person, and as many of two people."""

    people: int
    per_person: int
    gap: float

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, PairPeople]:
        """Return distances and answers ``(P,)`` in folds with both kinds, and who is in the pairs."""
        one = np.repeat(np.arange(self.people), self.per_person)
        other = (one + rng.integers(1, self.people, len(one))) % self.people
        own, theirs = rng.normal(0, _OWN, self.people), rng.normal(0, _THEIRS, self.people)
        same = own[one] + rng.normal(0, _NOISE, len(one))
        different = self.gap + theirs[one] + theirs[other] + rng.normal(0, _NOISE, len(one))
        sides = np.stack([one, one], 1).ravel(), np.stack([one, other], 1).ravel()
        return np.stack([same, different], 1).ravel(), np.tile([True, False], len(one)), named_people(*sides)

    def true_tar(self, far: float) -> float:
        """Return the population's TAR at ``far``."""
        of_same, of_different = _spreads()
        return float(stats.norm.cdf((self.gap + of_different * stats.norm.ppf(far)) / of_same))

    def true_accuracy(self) -> float:
        """Return the population's accuracy at its best threshold."""
        of_same, of_different = _spreads()

        thresholds = np.linspace(0, self.gap, 10001)
        errors = stats.norm.sf(thresholds / of_same) + stats.norm.cdf((thresholds - self.gap) / of_different)
        return 1 - float(errors.min()) / 2


def _spreads() -> tuple[float, float]:
    return float(np.hypot(_OWN, _NOISE)), float(np.sqrt(2 * _THEIRS**2 + _NOISE**2))


# People and pairs per person as in CFP-FF, and few people; as in LFW, whose people are in one or two pairs.
_DESIGNS = {
    "500 people x 14 pairs": Design(500, 7, 2.5),
    "3,000 people x 2 pairs": Design(3000, 1, 2.5),
    "3,000 people x 2 pairs, few errors": Design(3000, 1, 4.5),
    "100 people x 14 pairs": Design(100, 7, 2.5),
}


class Searched(NamedTuple):
    """Four images of each of ``people``, and one of each of those ``alone``, in an embedding of 24 dimensions.

    Images scatter around their person by ``noise``, more for some people than for others, and a quarter more in group
    "hard", half of the people, than in group "easy".
    """

    people: int
    alone: int
    noise: float

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Return embeddings ``(N, 24)``, people and groups ``(N,)``."""
        number = self.people + self.alone
        person = np.repeat(np.arange(number), [4] * self.people + [1] * self.alone)
        is_hard = np.arange(number) % 2 == 0
        noise = self.noise * np.where(is_hard, 1.25, 1) * np.exp(rng.normal(0, 0.4, number))
        centres = 0.4 + rng.normal(size=(number, 24))
        embeddings = centres[person] + noise[person, None] * rng.normal(size=(len(person), 24))
        return embeddings, person, ["hard" if is_hard[who] else "easy" for who in person]

    def intervals(self, rng: np.random.Generator, draws: int) -> Iterator[tuple[str, Interval]]:
        """Yield name and interval of each rate and gap that has one, over ``draws`` galleries of new people."""
        embeddings, person, groups = self.draw(rng)
        found = identify(embeddings, person, draws, int(rng.integers(1 << 31)), groups)
        for name, measure in _IDENTIFICATION.items():
            everyone, easy, hard = (measure(found, group=group) for group in (None, "easy", "hard"))
            if everyone.interval is not None:
                yield name, everyone.interval
            if easy.rate is not None and hard.rate is not None:
                yield f"gap of {name}", gap_interval([easy.rate, hard.rate])


@cache
def true_rates(design: Searched, number: int) -> dict[str, float]:
    """Return rates and gaps over ``number`` sets of people, at thresholds of all of them together."""
    rng, found = np.random.default_rng(1), []
    for _ in range(number):
        embeddings, person, groups = design.draw(rng)
        found += identify(embeddings, person, 2, int(rng.integers(1 << 31)), groups)
    rank, own, best = (np.concatenate([getattr(d.searches, key) for d in found]) for key in ("rank", "own", "best"))
    is_hard = np.concatenate([draw.group[draw.roles.mated] for draw in found]) == "hard"
    hits = {f"rank {least}": rank <= least for least in RANKS}
    hits |= {f"FNIR at FPIR {key}": (rank > 1) | (own <= np.quantile(best, 1 - fpir)) for key, fpir in FPIRS.items()}
    gaps = {f"gap of {name}": float(abs(of[is_hard].mean() - of[~is_hard].mean())) for name, of in hits.items()}
    return {name: float(of.mean()) for name, of in hits.items()} | gaps


_IDENTIFICATION: dict[str, Callable[..., Estimate]] = {
    **{f"rank {rank}": partial(of_rank, rank=rank) for rank in RANKS},
    **{f"FNIR at FPIR {key}": partial(of_fnir, key=key) for key in FPIRS},
}


def cases(effort: Effort) -> list[Case]:
    """Return a case per design, one of differences between groups of runs, and one of identification."""
    rounds, draws = (1, 3) if effort.quick else (_ROUNDS, _DRAWS)
    note = f"each of {rounds} rounds is {draws} draws"
    truth_from = 20 if effort.quick else 1000
    found = [
        Case("coverage", f"{name}, 95 % intervals", "% of draws", partial(_measure, rounds, draws, of), note=note)
        for name, of in (
            *((name, partial(_of_one_network, design)) for name, design in _DESIGNS.items()),
            ("300 people x 10 pairs, 3 seeds of two networks", _of_two_networks),
            (
                "200 people x 4 images and 1,000 x 1, identification",
                partial(_of_searches, Searched(200, 1000, 0.9), truth_from),
            ),
        )
    ]
    return found


def _measure(
    rounds: int, draws: int, of: Callable[[np.random.Generator], Iterator[tuple[str, float, Interval]]]
) -> Rounds:
    rng, found = np.random.default_rng(0), defaultdict[str, list[float]](list)
    for _ in range(rounds):
        inside = defaultdict[str, list[bool]](list)
        for _ in range(draws):
            for name, truth, interval in of(rng):
                inside[name].append(interval.low <= truth <= interval.high)
        for name, hits in inside.items():
            found[name].append(100 * float(np.mean(hits)))
    return dict(found)


def _of_one_network(design: Design, rng: np.random.Generator) -> Iterator[tuple[str, float, Interval]]:
    """Yield name, true value and interval of each rate, and of an accuracy whose pairs are taken for independent."""
    scores, is_same, people = design.draw(rng)
    folds = np.arange(len(scores)) * _FOLDS // len(scores)
    accuracy, terms = accuracy_terms(_correct(scores, is_same, folds), folds)
    truth = design.true_accuracy()
    yield "accuracy", truth, wilson(accuracy, accuracy_variance(terms, people), people.num_people)
    naive = quantile(np.inf) * np.sqrt(np.square(terms).sum())
    yield "accuracy, pairs taken for independent", truth, Interval(accuracy - naive, accuracy + naive)
    for far in _FARS:
        interval = tar_interval(scores, is_same, far, people)
        if interval is not None:
            yield f"TAR at FAR {far:g}", design.true_tar(far), interval


def _correct(scores: np.ndarray, is_same: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Decide each fold's pairs with the best threshold of the others."""
    correct = np.empty(len(scores), bool)
    for fold in range(_FOLDS):
        test = folds == fold
        threshold = PROTOCOLS["tvconv"].best_threshold(scores[~test], is_same[~test])
        correct[test] = (scores[test] < threshold) == is_same[test]
    return correct


def _of_two_networks(rng: np.random.Generator) -> Iterator[tuple[str, float, Interval]]:
    """Yield the difference of two networks with equal and with different rates, over three seeds each."""
    one = np.repeat(np.arange(300), 5)
    sides = np.concatenate([one, one]), np.concatenate([one, (one + rng.integers(1, 300, len(one))) % 300])
    people, own = named_people(*sides), rng.normal(0, 0.6, 300)
    hard = own[sides[0]] + own[sides[1]] + rng.normal(0, 0.8, len(sides[0]))
    base = [_run(rng, hard, 1.5) for _ in range(3)]
    for name, level in (("equal networks", 1.5), ("networks that differ by two points", 1.65)):
        truth = _true_rate(level) - _true_rate(1.5)
        yield name, truth, compare(base, [_run(rng, hard, level) for _ in range(3)], people).interval


def _of_searches(design: Searched, truth_from: int, rng: np.random.Generator) -> Iterator[tuple[str, float, Interval]]:
    """Yield name, true value and interval of each identification rate and of its gap between two groups."""
    truth = true_rates(design, truth_from)
    for name, interval in design.intervals(rng, 2):
        yield name, truth[name], interval


def _run(rng: np.random.Generator, hard: np.ndarray, level: float) -> Measured:
    correct = level + rng.normal(0, 0.05) + hard + rng.normal(0, 0.7, len(hard)) > 0
    return Measured(*accuracy_terms(correct, np.arange(len(hard)) * _FOLDS // len(hard)))


def _true_rate(level: float) -> float:
    """Return the mean rate: a person counts twice in a same-person pair, two people once each in the others."""
    rest = 0.05**2 + 0.8**2 + 0.7**2
    return float(np.mean([stats.norm.cdf(level / np.sqrt(rest + k * 0.6**2)) for k in (4, 2)]))
