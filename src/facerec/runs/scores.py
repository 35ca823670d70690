"""The file of scores: of each verification pair the distance, the decision and who is in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np

from facerec.data.shared_people import Shared
from facerec.data.source import Benchmark
from facerec.data.whole_arrays import read_whole
from facerec.errors import InputError
from facerec.files import RESULTS, replacing
from facerec.verification.dependence import PairPeople, connected_people, named_people
from facerec.verification.verify import VerificationResult

Array = np.ndarray
T = TypeVar("T")
# The arrays of one value per pair, with the kinds that their types may have.
_KINDS = {"scores": "f", "is_same": "b", "correct": "b", "folds": "iu", "left": "iu", "right": "iu", "shared": "b"}


@dataclass(frozen=True, kw_only=True)
class PairScores:
    """What is kept of the P pairs of one benchmark; None what an older version did not write, or does not apply.

    Attributes:
        scores: squared distances, float32 ``(P,)``.
        is_same: whether a pair shows one person, bool ``(P,)``.
        thresholds: of the folds ``(num_folds,)``.
        centres: what a protocol that centres subtracts, ``(num_folds, D)``.
        correct: whether the pair was decided correctly when its fold was tested, bool ``(P,)``.
        folds: the index of each pair's fold ``(P,)``.
        left: index of the left image, int64 ``(P,)``.
        right: index of the right image, int64 ``(P,)``.
        images: names of the N distinct images, text ``(N,)``.
        shared: whether a pair shows a person or an image of the training set, bool ``(P,)``.
        people: names of the people whom they show, text ``(N,)``; None if the source does not name them.
    """

    scores: Array
    is_same: Array
    thresholds: Array | None = None
    centres: Array | None = None
    correct: Array | None = None
    folds: Array | None = None
    left: Array | None = None
    right: Array | None = None
    images: Array | None = None
    shared: Array | None = None
    people: Array | None = None

    def people_of_pairs(self) -> PairPeople | None:
        """Return who is in the pairs, by name or else as far as the pairs tell; None for an older file."""
        if self.left is None or self.right is None:
            return None
        if self.people is None:
            return connected_people(self.left, self.right, self.is_same)
        return named_people(self.people[self.left], self.people[self.right])


def save_scores(
    path: Path,
    results: Mapping[str, VerificationResult],
    benchmarks: Sequence[Benchmark],
    shared: Mapping[str, Shared] | None = None,
) -> None:
    """Write an .npz file with ``NAME/ATTRIBUTE`` for each benchmark and each attribute of `PairScores` that applies."""
    arrays: dict[str, Array] = {}
    for benchmark in benchmarks:
        kept = _kept(results[benchmark.name], benchmark, (shared or {}).get(benchmark.name))
        arrays |= {f"{benchmark.name}/{key}": value for key, value in vars(kept).items() if value is not None}
    with replacing(path) as partial:
        np.savez_compressed(partial, **arrays)  # pyright: ignore[reportArgumentType]


def _kept(result: VerificationResult, benchmark: Benchmark, shared: Shared | None) -> PairScores:
    return PairScores(
        scores=result.scores.astype(np.float32),
        is_same=result.is_same,
        thresholds=result.thresholds,
        centres=result.centres,
        correct=result.correct,
        folds=result.folds.astype(np.int64),
        left=benchmark.left,
        right=benchmark.right,
        images=np.array([benchmark.images.name(index) for index in range(len(benchmark.images))]),
        shared=None if shared is None else shared.pairs,
        people=None if benchmark.people is None else np.array(benchmark.people),
    )


def load_scores(path: Path) -> dict[str, PairScores]:
    """Return what `save_scores` wrote, per benchmark; raise `InputError` if the file is missing or damaged."""
    return read_sets(path, _read)


def read_sets(path: Path, read: Callable[[dict[str, Array], str], T]) -> dict[str, T]:
    """Return what ``read`` makes of the arrays ``NAME/KEY`` of the .npz file ``path`` for each NAME.

    Raises `InputError` if the file is missing or damaged, or if ``read`` raises `ValueError` or `KeyError`.
    """
    try:
        kept = read_whole(path, compressed=True)
        return {name: read(kept, name) for name in dict.fromkeys(key.rpartition("/")[0] for key in kept)}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} cannot be read ({error}): remove {path.with_name(RESULTS)} and run it again with resume=auto, "
            "which only verifies its checkpoints"
        ) from error


def _read(arrays: dict[str, Array], name: str) -> PairScores:
    """Return the arrays of benchmark ``name``; raise `ValueError` if they do not fit each other."""
    if f"{name}/scores" not in arrays:
        raise ValueError(f"{name} has no scores")
    kept = PairScores(**{f.name: arrays[key] for f in fields(PairScores) if (key := f"{name}/{f.name}") in arrays})
    for key, kinds in _KINDS.items():
        value = getattr(kept, key)
        if value is not None and value.shape != kept.scores.shape:
            raise ValueError(f"{name}/{key} has shape {value.shape}, but the scores {kept.scores.shape}")
        if value is not None and value.dtype.kind not in kinds:
            raise ValueError(f"{name}/{key} has values of type {value.dtype}")
    for key in ("images", "people"):
        _check_images(kept, name, key)
    return kept


def _check_images(kept: PairScores, name: str, key: str) -> None:
    """Raise `ValueError` if the pairs name images that the array ``key`` does not list."""
    listed = getattr(kept, key)
    for side in (kept.left, kept.right):
        if listed is not None and side is not None and not np.isin(side, np.arange(len(listed))).all():
            raise ValueError(f"{name}/{key} has {len(listed)} images, and its pairs name others")
