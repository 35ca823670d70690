"""The verification pairs that most runs of a sweep decide wrongly."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from facerec.runs.scores import PairScores
from facerec.runs.sweep import SweepRun


class HardPair(NamedTuple):
    """A pair of a benchmark, with the number of runs that decide it wrongly; ``images`` are indices."""

    images: tuple[int, int]
    names: tuple[str, str]
    is_same: bool
    wrong: int


class Hardest(NamedTuple):
    """The hardest pairs of a benchmark, of how many ``runs``, and how many others have another list of pairs."""

    pairs: list[HardPair]
    runs: list[SweepRun]
    left_out: int


def hardest_pairs(runs: Sequence[SweepRun], benchmark: str, most: int = 10) -> Hardest:
    """Return up to ``most`` pairs that at least one run decides wrongly, the hardest first: those that most runs decide
    wrongly, and of these the ones that are furthest from the threshold.

    The runs that have the list of the first one count, if their scores say what was decided.
    """
    having = [run for run in runs if benchmark in run.scores and _is_complete(run.scores[benchmark])]
    counted = [run for run in having if _same_pairs(run.scores[benchmark], having[0].scores[benchmark])]
    left_out = sum(benchmark in run.results.last["benchmarks"] for run in runs) - len(counted)
    if not counted:
        return Hardest([], [], left_out)
    is_wrong = [~np.asarray(run.scores[benchmark].correct, bool) for run in counted]
    wrong = np.sum(is_wrong, 0)
    missed = np.sum([w * _margins(run.scores[benchmark]) for w, run in zip(is_wrong, counted, strict=True)], 0)
    order = np.lexsort((-missed, -wrong))[:most]
    first = counted[0].scores[benchmark]
    return Hardest([_pair(first, index, int(wrong[index])) for index in order if wrong[index]], counted, left_out)


def _margins(kept: PairScores) -> np.ndarray:
    """Return how far each score is from the threshold of its fold; 0 if an older version kept no thresholds."""
    if kept.thresholds is None or kept.folds is None or kept.folds.max() >= len(kept.thresholds):
        return np.zeros(len(kept.scores))
    return np.abs(kept.scores - kept.thresholds[kept.folds])


def _is_complete(kept: PairScores) -> bool:
    return kept.correct is not None and kept.left is not None and kept.right is not None


def _same_pairs(one: PairScores, other: PairScores) -> bool:
    keys = ("is_same", "left", "right", "images")
    return all(np.array_equal(getattr(one, key), getattr(other, key)) for key in keys)


def _pair(kept: PairScores, index: int, wrong: int) -> HardPair:
    assert kept.left is not None and kept.right is not None
    left, right = int(kept.left[index]), int(kept.right[index])
    return HardPair((left, right), (_name(kept, left), _name(kept, right)), bool(kept.is_same[index]), wrong)


def _name(kept: PairScores, image: int) -> str:
    return f"image {image}" if kept.images is None else str(kept.images[image])
