"""The similarities of every image with every other one, counted block by block.

A similarity is the cosine of two embeddings, of which nothing is subtracted. Cosines are rounded to multiples of 2^-21
(5e-7), somewhat more than the error of float32 products: two equal images are then equally similar to a third one,
wherever the product computes them, and a histogram of the steps contains every threshold exactly.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

STEPS = 1 << 21  # per unit of cosine
_BLOCK = 1 << 22  # similarities at once
_WORTH_SORTING = 1 << 20  # pairs from which on the less similar ones are dropped before the end
MOST_FMR = 1e-2  # the false matches up to this rate are kept one by one


class SomePairs(NamedTuple):
    """Pairs of images ``one`` and ``other``, int32 ``(P,)``, with their similarity in ``steps``, int32 ``(P,)``."""

    one: np.ndarray
    other: np.ndarray
    steps: np.ndarray


@dataclass(frozen=True, eq=False)
class AllPairs:
    """The similarities of all pairs of N images of G people.

    ``person`` int64 ``(N,)`` numbers the people ``0 .. G - 1``. ``mated`` are the pairs that show one person.
    ``top`` are the most similar non-mated pairs: all that a threshold with an FMR of up to `MOST_FMR` accepts, and
    some more. ``histogram`` int64 ``(2 * STEPS + 1,)`` counts the non-mated pairs by step, from -`STEPS` on.
    """

    person: np.ndarray
    mated: SomePairs
    top: SomePairs
    histogram: np.ndarray

    @property
    def num_people(self) -> int:
        return int(self.person.max()) + 1

    @property
    def num_mated(self) -> int:
        return len(self.mated.steps)

    @cached_property
    def num_non_mated(self) -> int:
        return _num_non_mated(self.person)

    @cached_property
    def ranked_mated(self) -> np.ndarray:
        """The steps of the mated pairs, ascending."""
        return np.sort(self.mated.steps)

    @cached_property
    def levels(self) -> np.ndarray:
        """The distinct steps of the non-mated pairs, ascending."""
        return np.flatnonzero(self.histogram) - STEPS

    @cached_property
    def below(self) -> np.ndarray:
        """Number of non-mated pairs below each of the `levels`, and at the end the number of all of them."""
        return np.concatenate([[0], np.cumsum(self.histogram[self.levels + STEPS])])

    def nth_similar(self, rank: int) -> int:
        """Return the steps of the non-mated pair at ``rank``, from 0 for the most similar one; below all if none is."""
        if rank >= self.num_non_mated:
            return -STEPS - 1
        return int(self.levels[np.searchsorted(self.below, self.num_non_mated - 1 - rank, side="right") - 1])

    def false_matches(self, step: float) -> int:
        """Return the number of non-mated pairs with more than ``step`` steps."""
        return self.num_non_mated - int(self.below[np.searchsorted(self.levels, step, side="right")])

    def fnmr(self, step: float) -> float:
        """Return the fraction of mated pairs with at most ``step`` steps."""
        return float(np.searchsorted(self.ranked_mated, step, side="right") / self.num_mated)


def unit_rows(embeddings: ArrayLike) -> np.ndarray:
    """Return the embeddings ``(N, D)`` scaled to length 1, float32; `ValueError` for one without a direction."""
    rows = np.ascontiguousarray(embeddings, dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"embeddings have shape {rows.shape}: pass them as (images, embedding_dim)")
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    wrong = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if len(wrong):
        what = "all-zero" if lengths[wrong[0]] == 0 else "NaN or infinite"
        raise ValueError(
            f"image {wrong[0]} has an {what} embedding, as {len(wrong)} of {len(rows)} images have: look for overflow "
            "(learning rate, half precision) or a dead last layer"
        )
    return (rows / lengths[:, None]).astype(np.float32)


def numbered(people: ArrayLike) -> np.ndarray:
    """Return numbers of people ``(N,)``, ``0 .. G - 1``, for their names or other numbers."""
    return np.unique(np.asarray(people), return_inverse=True)[1]


def steps_of(cosines: np.ndarray) -> np.ndarray:
    """Return cosines, float32 of any shape, in steps, int32; they are overwritten."""
    np.rint(np.multiply(cosines, STEPS, out=cosines), out=cosines)
    return np.clip(cosines, -STEPS, STEPS, out=cosines).astype(np.int32)


def compare_all(embeddings: ArrayLike, people: ArrayLike) -> AllPairs:
    """Compare every image with every other one.

    The time is that of the product of all embeddings, and the memory 12 bytes for each mated pair and for each of the
    most similar hundredth of the others, however many pairs there are.

    Args:
        embeddings: ``(N, D)``, as the network returns them.
        people: name or number of each image's person ``(N,)``.

    Raises `ValueError` for a NaN, infinite or all-zero embedding, and unless there are pairs of both kinds.
    """
    rows = unit_rows(embeddings)
    person = numbered(people)
    if person.shape != (len(rows),):
        raise ValueError(f"{len(rows)} embeddings have people of shape {person.shape}: pass one person per image")
    counts = np.bincount(person)
    if len(counts) < 2 or counts.max() < 2:
        missing = "two people" if len(counts) < 2 else "a person with two images"
        raise ValueError(f"{len(rows)} images have no pairs of both kinds: bring {missing}")
    order = np.argsort(person, kind="stable")
    return _Scan(person, order).of(rows[order])


def allowed_false_matches(fmr: float, num_non_mated: int) -> int:
    """Return the largest number of false matches whose rate is at most ``fmr``."""
    return int(fmr * num_non_mated * (1 + 1e-12))


def _num_non_mated(person: np.ndarray) -> int:
    counts = np.bincount(person)
    return int(len(person) ** 2 - np.square(counts).sum()) // 2


class _Scan:
    """One pass over all pairs of images that are sorted by person, so that mated pairs are next to the diagonal."""

    def __init__(self, person: np.ndarray, order: np.ndarray) -> None:
        self.person, self.order = person, order
        self.end = np.searchsorted(person[order], person[order], side="right")  # where the next person begins
        # The threshold is the similarity of one pair more than may be accepted.
        self.least = allowed_false_matches(MOST_FMR, _num_non_mated(person)) + 1
        self.bound = -STEPS  # below it, a pair is not among the most similar ones
        self.histogram = np.zeros(2 * STEPS + 1, np.int64)
        self.mated: list[SomePairs] = []
        self.top: list[SomePairs] = []

    def of(self, rows: np.ndarray) -> AllPairs:
        for start, steps in _blocks(rows):
            columns = np.arange(start, len(rows))
            end = self.end[start : start + len(steps)]
            self._keep_mated(steps, start, end)
            self._keep_others(steps, columns >= end[:, None], start)
        return AllPairs(self.person, _joined(self.mated), _joined(self.top), self.histogram)

    def _keep_mated(self, steps: np.ndarray, start: int, end: np.ndarray) -> None:
        near = np.arange(start, end[-1])
        row, column = np.nonzero((near > np.arange(start, start + len(steps))[:, None]) & (near < end[:, None]))
        self.mated.append(self._pairs(steps, row, column, start))

    def _keep_others(self, steps: np.ndarray, is_other: np.ndarray, start: int) -> None:
        _count(self.histogram, steps[is_other] + STEPS)
        row, column = np.nonzero(is_other & (steps >= self.bound))
        self.top.append(self._pairs(steps, row, column, start))
        if sum(len(part.steps) for part in self.top) > max(2 * self.least, _WORTH_SORTING):
            ranked = np.cumsum(self.histogram[::-1])
            self.bound = STEPS - min(int(np.searchsorted(ranked, self.least)), 2 * STEPS)
            joined = _joined(self.top)
            self.top = [SomePairs(*(part[joined.steps >= self.bound] for part in joined))]

    def _pairs(self, steps: np.ndarray, row: np.ndarray, column: np.ndarray, start: int) -> SomePairs:
        one, other = self.order[row + start].astype(np.int32), self.order[column + start].astype(np.int32)
        return SomePairs(one, other, steps[row, column])


def _blocks(rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the first row of each block, and the steps of its rows with themselves and all later ones."""
    start = 0
    while start < len(rows):
        size = max(1, _BLOCK // (len(rows) - start))
        yield start, steps_of(rows[start : start + size] @ rows[start:].T)
        start += size


def _count(histogram: np.ndarray, values: np.ndarray) -> None:
    if len(values) < len(histogram) // 100:
        np.add.at(histogram, values, 1)
    else:
        histogram += np.bincount(values, minlength=len(histogram))


def _joined(parts: list[SomePairs]) -> SomePairs:
    return SomePairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
