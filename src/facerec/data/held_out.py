"""A verification set of identities that are not trained on, to choose the best epoch without a benchmark."""

import numpy as np

from facerec.data.source import Benchmark, LabelledSource
from facerec.data.subset import Subset
from facerec.errors import InputError

HELD_OUT = "held_out"
NUM_FOLDS = 10  # as in LFW's protocol
_MOST_PAIRS = 300  # of each kind per fold, as in LFW's protocol


def split_identities(source: LabelledSource, wanted: int | float, seed: int) -> tuple[Subset, Benchmark]:
    """Split ``source`` into a training set and a benchmark of held-out identities.

    The pairs are in ten folds of disjoint people. Each fold has up to 300 same-person pairs, then as many
    different-person pairs; no pair occurs twice, and people are sampled uniformly, however many images they have.

    Args:
        source: all images.
        wanted: number of identities to hold out, each with at least two images; below 1, a fraction of all.
        seed: seed of the identities and the pairs.
    """
    rng = np.random.default_rng(seed)
    counts = np.bincount(source.labels)
    candidates = np.flatnonzero(counts >= 2)
    number = round(wanted * len(counts)) if wanted < 1 else int(wanted)
    _check_number(number, len(candidates), len(counts))
    people = rng.choice(candidates, number, replace=False)
    is_held_out = np.zeros(len(counts), bool)
    is_held_out[people] = True
    kept = is_held_out[source.labels]
    return Subset(source, np.flatnonzero(~kept)), _benchmark(source, np.flatnonzero(kept), people, rng)


def _check_number(number: int, candidates: int, identities: int) -> None:
    if number < 2 * NUM_FOLDS:
        remedy = f"take {2 * NUM_FOLDS} or more, two for each of {NUM_FOLDS} folds, or 0 for none"
        raise InputError(f"data.held_out_identities comes to {number} of {identities} identities: {remedy}")
    if number > min(candidates, identities - 2):
        problem = f"but of {identities} identities {candidates} have two images or more, and two must remain"
        raise InputError(f"data.held_out_identities comes to {number}, {problem} to train on: lower it")


def _benchmark(
    source: LabelledSource, positions: np.ndarray, people: np.ndarray, rng: np.random.Generator
) -> Benchmark:
    by_label = positions[np.argsort(source.labels[positions], kind="stable")]
    first = np.searchsorted(source.labels[by_label], people)
    last = np.searchsorted(source.labels[by_label], people, side="right")
    folds = [[by_label[first[i] : last[i]] for i in fold] for fold in np.array_split(np.arange(len(people)), NUM_FOLDS)]
    per_kind = min(_MOST_PAIRS, *(_available(fold) for fold in folds))
    pairs = np.concatenate(
        [kind(fold, per_kind, rng) for fold in folds for kind in (_pairs_of_one_person, _pairs_of_two_people)]
    )
    used, numbered = np.unique(pairs, return_inverse=True)
    left, right = numbered.reshape(-1, 2).T
    is_same = np.tile(np.repeat([True, False], per_kind), NUM_FOLDS)
    images = Subset(source, used)
    named = tuple(map(images.identity_name, images.labels.tolist()))
    return Benchmark(HELD_OUT, images, left.copy(), right.copy(), is_same, named, is_apart=True)


def _available(fold: list[np.ndarray]) -> int:
    """Return the limit of pairs of each kind: half of the different-person pairs, so that sampling ends soon."""
    counts = np.array([len(images) for images in fold])
    of_one = (counts * (counts - 1) // 2).sum()
    of_two = (counts.sum() ** 2 - (counts**2).sum()) // 2
    return int(min(of_one, of_two // 2))


def _pairs_of_one_person(fold: list[np.ndarray], number: int, rng: np.random.Generator) -> np.ndarray:
    """Sample image indices ``(number, 2)``, a pair of each person in turn while there are more."""
    pairs, turns = [], []
    for images in fold:
        available = len(images) * (len(images) - 1) // 2
        chosen = rng.choice(available, min(number, available), replace=False)
        pairs.append(images[_pair(chosen)])
        turns.append(np.arange(len(chosen)) + rng.random(len(chosen)))
    return np.concatenate(pairs)[np.argsort(np.concatenate(turns))[:number]]


def _pair(numbers: np.ndarray) -> np.ndarray:
    """Return the pairs at indices ``numbers`` of (0, 1), (0, 2), (1, 2), (0, 3), ..., ``(N, 2)``: too many to list."""
    larger = ((1 + np.sqrt(1 + 8 * numbers)) / 2).astype(np.int64)  # exact for the pairs of ten million images
    return np.stack((numbers - larger * (larger - 1) // 2, larger), axis=1)


def _pairs_of_two_people(fold: list[np.ndarray], number: int, rng: np.random.Generator) -> np.ndarray:
    """Sample image indices ``(number, 2)``: two people, and an image of each."""
    pairs: dict[tuple[int, int], None] = {}  # a dict, for its order
    while len(pairs) < number:
        one, other = rng.choice(len(fold), 2, replace=False)
        left, right = int(rng.choice(fold[one])), int(rng.choice(fold[other]))
        pairs[min(left, right), max(left, right)] = None
    return np.array(list(pairs))
