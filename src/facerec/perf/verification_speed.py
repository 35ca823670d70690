"""Speed of the verification of pairs of embeddings, compared with the published code's loop over 20,001 thresholds."""

from functools import partial

import numpy as np

from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.timing import Effort, alternate, milliseconds
from facerec.verification.verify import verify

LOOP, OURS, OURS_EXACT = "loop over thresholds", "verify, tvconv_reference", "verify, tvconv"


def cases(effort: Effort) -> list[Case]:
    """Return the case at the size of LFW. ``tvconv_reference`` gives the same result as the loop; ``tvconv`` is the
    default protocol."""
    pairs, dim, folds = (40, 8, 2) if effort.quick else (6000, 512, 10)
    goals = [Goal(LOOP, OURS, 100), Goal(LOOP, OURS_EXACT, 100)]
    measure = partial(_measure, pairs, dim, folds, effort)
    return [Case("verification", f"{pairs:,} pairs x {dim}, {folds} folds", "ms", measure, goals)]


def random_pairs(pairs: int, dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw left and right embeddings, and whether a pair is the same person. Every other pair is; its right side is the
    left one plus noise."""
    generator = np.random.default_rng(0)
    left, right = generator.normal(size=(2, pairs, dim)).astype(np.float32)
    is_same = np.arange(pairs) % 2 == 0
    right[is_same] += left[is_same]
    return left, right, is_same


def loop_over_thresholds(left: np.ndarray, right: np.ndarray, is_same: np.ndarray, folds: int) -> np.ndarray:
    """Compute the accuracy of each fold by the published algorithm, written from its description.

    For each fold the features are centred on the mean of the other folds, and each of 20,001 thresholds is tried on the
    other folds' distances.
    """
    thresholds = np.arange(-10000, 10001) * 3.0 / 10000
    left, right = _unit(left), _unit(right)
    fold_of_pair, accuracies = np.arange(len(left)) // (len(left) / folds), np.empty(folds)
    for fold in range(folds):
        test, train = fold_of_pair == fold, fold_of_pair != fold
        mean = np.mean(np.concatenate((left[train], right[train])), axis=0)
        left, right = _unit(left - mean), _unit(right - mean)
        distances = np.sum(np.square(left - right), axis=1)
        tried = np.array([_accuracy(distances[train], is_same[train], threshold) for threshold in thresholds])
        accuracies[fold] = _accuracy(distances[test], is_same[test], float(np.mean(thresholds[tried == tried.max()])))
    return accuracies


def _accuracy(distances: np.ndarray, is_same: np.ndarray, threshold: float) -> float:
    accepted = np.count_nonzero(distances[is_same] < threshold)
    rejected = np.count_nonzero(distances[~is_same] > threshold)
    return (accepted + rejected) / len(distances)


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.sqrt(np.sum(np.square(features), axis=1))[:, None]


def _measure(pairs: int, dim: int, folds: int, effort: Effort) -> Rounds:
    left, right, is_same = random_pairs(pairs, dim)
    contenders = {
        OURS: lambda: verify(left, right, is_same, "tvconv_reference", folds),
        OURS_EXACT: lambda: verify(left, right, is_same, "tvconv", folds),
        LOOP: lambda: loop_over_thresholds(left, right, is_same, folds),
    }
    return milliseconds(alternate(contenders, effort))
