"""Identification (ISO/IEC 19795-1): probes are searched in a gallery with one image per person.

A mated probe shows a person of the gallery, a non-mated one somebody else. Closed-set: rank-n is the fraction of mated
probes whose person is among the n most similar ones. Open-set: a search returns the most similar person, if the cosine
is above a threshold. FPIR, the false-positive identification rate, is the fraction of non-mated probes for which
somebody is returned; FNIR, the false-negative identification rate, that of mated probes for which their person is not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from facerec.verification.all_pairs import allowed_false_matches, numbered, steps_of, unit_rows

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
    among all, from 1, and ``best`` are the steps of the non-mated probes' similarity with the most similar person.
    """

    own: np.ndarray
    rank: np.ndarray
    best: np.ndarray


@dataclass(frozen=True)
class Draw:
    """The rates of one draw: ``rank`` by `RANKS`, ``fnir`` by `FPIRS`, as far as the non-mated probes resolve them."""

    gallery: int
    mated: int
    non_mated: int
    rank: dict[int, float]
    fnir: dict[str, float]


def identify(embeddings: ArrayLike, people: ArrayLike, draws: int = 10, seed: int = 0) -> list[Draw]:
    """Return the rates of ``draws`` random divisions of the images into gallery and probes.

    In each, a fifth of the people with two or more images stays apart, as does everybody with one image: all their
    images are non-mated probes. Of each other person, one image is in the gallery, and the rest are mated probes.

    Args:
        embeddings: ``(N, D)``, as the network returns them; nothing is subtracted.
        people: name or number of each image's person ``(N,)``.

    Raises `ValueError` for embeddings without a direction, and unless three people have two or more images.
    """
    rows, person = unit_rows(embeddings), numbered(people)
    rng = np.random.default_rng(seed)
    return [_rates(search(rows, person, roles), len(roles.gallery)) for roles in _drawn(person, draws, rng)]


def summary(draws: Sequence[Draw]) -> dict[str, object]:
    """Return means and standard deviations (ddof 1) over the draws, for `json.dump`, and why an FNIR is missing."""
    first = draws[0]
    return {
        "draws": len(draws),
        "gallery": first.gallery,
        "mated_probes": _spread([draw.mated for draw in draws]),
        "non_mated_probes": _spread([draw.non_mated for draw in draws]),
        "rank": {str(rank): _spread([draw.rank[rank] for draw in draws]) for rank in RANKS},
        "fnir_at_fpir": {
            key: _spread([draw.fnir[key] for draw in draws]) for key in FPIRS if all(key in draw.fnir for draw in draws)
        },
        "refused": {
            key: f"FPIR {fpir:g} cannot be resolved with {least} non-mated probes, of which one is already "
            f"{1 / max(least, 1):.2g}: bring images of people with one image each"
            for key, fpir in FPIRS.items()
            for least in [min(draw.non_mated for draw in draws)]
            if not all(key in draw.fnir for draw in draws)
        },
    }


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}


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
    found = []
    for block in _blocks(roles.mated, len(gallery)):
        steps = steps_of(rows[block] @ gallery.T)
        is_own = names == person[block, None]
        others = np.where(is_own, np.iinfo(steps.dtype).min, steps)
        mine = steps[is_own]  # one per probe
        found.append((mine, 1 + np.count_nonzero(others >= mine[:, None], axis=1)))
    best = [steps_of(rows[block] @ gallery.T).max(1) for block in _blocks(roles.non_mated, len(gallery))]
    own, rank = (np.concatenate(column) for column in zip(*found, strict=True))
    return Searches(own, rank, np.concatenate(best))


def _blocks(probes: np.ndarray, columns: int) -> list[np.ndarray]:
    return np.array_split(probes, -(-len(probes) * columns // _BLOCK))


def _rates(searches: Searches, gallery: int) -> Draw:
    rank = {rank: float(np.mean(searches.rank <= rank)) for rank in RANKS}
    fnir = {}
    ranked = np.sort(searches.best)[::-1]
    for key, fpir in FPIRS.items():
        allowed = allowed_false_matches(fpir, len(ranked))
        if allowed:
            returned = (searches.rank == 1) & (searches.own > ranked[allowed])
            fnir[key] = float(1 - np.mean(returned))
    return Draw(gallery, len(searches.own), len(ranked), rank, fnir)
