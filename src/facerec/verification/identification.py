"""Identification (ISO/IEC 19795-1): probes are searched in a gallery with one image per person.

A mated probe shows a person of the gallery, a non-mated one somebody else. Closed-set: rank-n is the fraction of mated
probes whose person is among the n most similar ones. Open-set: a search returns the most similar person, if the cosine
is above a threshold. FPIR, the false-positive identification rate, is the fraction of non-mated probes for which
somebody is returned; FNIR, the false-negative identification rate, that of mated probes for which their person is not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from facerec.verification.all_pairs import allowed_false_matches, numbered, steps_of, unit_rows
from facerec.verification.identification_errors import Decided

RANKS = (1, 5)
FPIRS = {"1e-1": 1e-1, "1e-2": 1e-2}
APART = 0.2  # of the people with two or more images, kept out of the gallery
_BLOCK = 1 << 22  # similarities at once


class Roles(NamedTuple):
    """Indices of images: one of each person in the ``gallery`` ``(G,)``, ``mated`` probes and ``non_mated`` ones."""

    gallery: np.ndarray
    mated: np.ndarray
    non_mated: np.ndarray


class Searches(NamedTuple):
    """What the searches of a draw found, in the order of its roles.

    ``own`` are the steps of the mated probes' similarity with their own person, ``rank`` is the place of that person
    among all, from 1, and ``best`` are the steps of the non-mated probes' similarity with the most similar person, who
    is ``nearest``; ``second`` are those with the next one. ``ahead`` are, by `RANKS`, the people ahead of the own one
    who alone keep a mated probe's person from that rank.
    """

    own: np.ndarray
    rank: np.ndarray
    best: np.ndarray
    nearest: np.ndarray
    second: np.ndarray
    ahead: dict[int, Decided]


@dataclass(frozen=True)
class Rates:
    """The rates of ``mated`` and ``non_mated`` probes; NaN without a probe of the kind.

    ``rank`` is by `RANKS`. ``fnir`` and ``fpir``, at the same threshold, are by `FPIRS`, as far as all non-mated probes
    of the draw resolve them.
    """

    mated: int
    non_mated: int
    rank: dict[int, float]
    fnir: dict[str, float]
    fpir: dict[str, float]


@dataclass(frozen=True)
class Draw:
    """The rates of ``all`` probes of one draw, and of those of each group.

    ``thresholds`` are by `FPIRS`, in steps. ``searches`` and ``roles`` are what the rates are computed of, with the
    number of each image's person and the name of its group, empty for none, ``(N,)``.
    """

    gallery: int
    all: Rates
    groups: dict[str, Rates]
    thresholds: dict[str, int]
    searches: Searches = field(repr=False, compare=False)
    roles: Roles = field(repr=False, compare=False)
    person: np.ndarray = field(repr=False, compare=False)
    group: np.ndarray = field(repr=False, compare=False)


def identify(
    embeddings: ArrayLike,
    people: ArrayLike,
    draws: int = 10,
    seed: int = 0,
    groups: Sequence[str | None] | None = None,
) -> list[Draw]:
    """Return the rates of ``draws`` random divisions of the images into gallery and probes.

    In each, a fifth of the people with two or more images stays apart, as does everybody with one image: all their
    images are non-mated probes. Of each other person, one image is in the gallery, and the rest are mated probes.

    Args:
        embeddings: ``(N, D)``, as the network returns them; nothing is subtracted.
        people: name or number of each image's person ``(N,)``.
        groups: of the images ``(N,)``; their rates are those of their probes in the common gallery, at the thresholds
            of all probes.

    Raises `ValueError` for embeddings without a direction, and unless three people have two or more images.
    """
    rows, person = unit_rows(embeddings), numbered(people)
    rng = np.random.default_rng(seed)
    of_group = np.array(["" if group is None else group for group in groups or [""] * len(rows)])
    return [_draw(search(rows, person, roles), roles, person, of_group) for roles in _drawn(person, draws, rng)]


def _drawn(person: np.ndarray, draws: int, rng: np.random.Generator) -> Iterator[Roles]:
    counts = np.bincount(person)
    several = np.flatnonzero(counts > 1)
    apart = max(1, round(APART * len(several)))
    if len(several) - apart < 2:
        raise ValueError(
            f"{len(several)} of {len(counts)} people have two or more images, and a gallery needs two of them and one "
            "to stay apart: bring more images"
        )
    for _ in range(draws):
        inside = np.zeros(len(counts), bool)
        inside[rng.permutation(several)[apart:]] = True
        shuffled = rng.permutation(len(person))
        _, first = np.unique(person[shuffled], return_index=True)
        chosen = shuffled[first]  # an image of each person
        in_gallery = np.isin(np.arange(len(person)), chosen[inside])
        is_mated = inside[person] & ~in_gallery
        yield Roles(np.flatnonzero(in_gallery), np.flatnonzero(is_mated), np.flatnonzero(~inside[person]))


def search(rows: np.ndarray, person: np.ndarray, roles: Roles) -> Searches:
    """Search all probes, with embeddings ``rows`` ``(N, D)`` of length 1, of people with numbers ``person`` ``(N,)``.

    Another person who is as similar as the probe's own comes before.
    """
    gallery, names = rows[roles.gallery], person[roles.gallery]
    mated = [
        _place(steps_of(rows[block] @ gallery.T), names == person[block, None], names)
        for block in _blocks(roles.mated, len(gallery))
    ]
    own, rank, *ahead = (np.concatenate(column) for column in zip(*mated, strict=True))
    others = [_nearest(steps_of(rows[block] @ gallery.T)) for block in _blocks(roles.non_mated, len(gallery))]
    nearest, best, second = (np.concatenate(column) for column in zip(*others, strict=True))
    decided = {
        rank_: Decided(np.repeat(np.flatnonzero(rank == rank_ + 1), rank_), people)
        for rank_, people in zip(RANKS, ahead, strict=True)
    }
    return Searches(own, rank, best, names[nearest], second, decided)


def _place(steps: np.ndarray, is_own: np.ndarray, names: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the steps of the own person, the rank, and who is ahead of those that just miss each of `RANKS`."""
    own = steps[is_own]  # one per probe
    is_ahead = (steps >= own[:, None]) & ~is_own
    rank = 1 + np.count_nonzero(is_ahead, axis=1)
    return own, rank, *(names[np.nonzero(is_ahead[rank == least + 1])[1]] for least in RANKS)


def _nearest(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the index of the most similar one, its steps and those of the next."""
    rows, nearest = np.arange(len(steps)), steps.argmax(1)
    best = steps[rows, nearest]
    steps[rows, nearest] = np.iinfo(steps.dtype).min
    return nearest, best, steps.max(1)


def _blocks(probes: np.ndarray, columns: int) -> list[np.ndarray]:
    return np.array_split(probes, -(-len(probes) * columns // _BLOCK))


def _draw(searches: Searches, roles: Roles, person: np.ndarray, group: np.ndarray) -> Draw:
    ranked = np.sort(searches.best)[::-1]
    allowed = {key: allowed_false_matches(fpir, len(ranked)) for key, fpir in FPIRS.items()}
    thresholds = {key: int(ranked[number]) for key, number in allowed.items() if number}
    of_mated, of_non_mated = group[roles.mated], group[roles.non_mated]
    groups = {
        str(name): _rates(searches, thresholds, of_mated == name, of_non_mated == name)
        for name in np.unique(group[group != ""])
    }
    rates = _rates(searches, thresholds, np.ones(len(of_mated), bool), np.ones(len(of_non_mated), bool))
    return Draw(len(roles.gallery), rates, groups, thresholds, searches, roles, person, group)


def _rates(searches: Searches, thresholds: dict[str, int], mated: np.ndarray, non_mated: np.ndarray) -> Rates:
    """Return the rates of the ``mated`` and ``non_mated`` probes, bool."""
    own, rank, best = searches.own[mated], searches.rank[mated], searches.best[non_mated]
    return Rates(
        mated=len(own),
        non_mated=len(best),
        rank={least: _mean(rank <= least) for least in RANKS},
        fnir={key: _mean((rank > 1) | (own <= step)) for key, step in thresholds.items()},
        fpir={key: _mean(best > step) for key, step in thresholds.items()},
    )


def _mean(flags: np.ndarray) -> float:
    return float(np.mean(flags)) if len(flags) else float("nan")
