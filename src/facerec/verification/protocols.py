"""The verification protocols: folds of pairs, distances of pairs, thresholds from the other folds.

The protocols themselves are defined at the end of the file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

import numpy as np
import torch
from sklearn.model_selection import KFold


class Fold(NamedTuple):
    """The ``distances`` of all pairs ``(P,)`` in a fold, and the ``centre`` ``(D,)`` that was subtracted, or None."""

    distances: np.ndarray
    centre: np.ndarray | None


class Verified(NamedTuple):
    """What `run_folds` returns: ``scores``, ``correct`` and ``folds`` are those of the pairs, the others of the
    folds."""

    thresholds: np.ndarray
    accuracies: np.ndarray
    scores: np.ndarray
    correct: np.ndarray
    folds: np.ndarray
    centres: np.ndarray | None


@dataclass(frozen=True)
class Protocol:
    """The choices in which protocols differ.

    ``sums_flip``: embeddings are summed with those of the horizontally flipped images before `verify` is called.
    ``ties_are_wrong``: a distance that equals the threshold is an error for either kind of pair, not a rejection.
    ``assign_folds``: takes (num_pairs, num_folds), returns the index of each pair's fold, ``(P,)``.
    ``fold_distances``: takes (left, right, folds), yields a `Fold` for each fold in turn.
    ``centring_adds_up``: a fold subtracts its own centre after those of all folds before it.
    ``decision``: how a pair is decided with the threshold of a fold, in words.
    ``best_threshold``: takes (distances, is_same) of the other folds, returns the threshold for a fold.
    """

    name: str
    description: str
    sums_flip: bool
    ties_are_wrong: bool
    assign_folds: Callable[[int, int], np.ndarray]
    fold_distances: Callable[[np.ndarray, np.ndarray, np.ndarray], Iterator[Fold]]
    best_threshold: Callable[[np.ndarray, np.ndarray], float]
    centring_adds_up: bool
    decision: str


def run_folds(protocol: Protocol, left: np.ndarray, right: np.ndarray, is_same: np.ndarray, num_folds: int) -> Verified:
    """Return threshold and accuracy of each fold, ``(num_folds,)``; each pair's fold, and its squared distance and
    whether it was decided correctly when that fold was tested, ``(P,)``; and the folds' centres ``(num_folds, D)``, or
    None if nothing is subtracted."""
    folds = protocol.assign_folds(len(is_same), num_folds)
    thresholds, accuracies, scores = np.empty(num_folds), np.empty(num_folds), np.empty(len(is_same))
    correct = np.empty(len(is_same), bool)
    centres = []
    for fold, (distances, centre) in zip(range(num_folds), protocol.fold_distances(left, right, folds), strict=False):
        test = folds == fold
        thresholds[fold] = protocol.best_threshold(distances[~test], is_same[~test])
        scores[test] = distances[test]
        correct[test] = _is_correct(scores[test], is_same[test], thresholds[fold], protocol.ties_are_wrong)
        accuracies[fold] = np.count_nonzero(correct[test]) / np.count_nonzero(test)
        centres += [] if centre is None else [centre]
    return Verified(thresholds, accuracies, scores, correct, folds, np.stack(centres) if centres else None)


def _is_correct(distances: np.ndarray, is_same: np.ndarray, threshold: float, ties_are_wrong: bool) -> np.ndarray:
    # "float64" as in `count_correct`, where np.searchsorted compares: distances of tvconv_reference are float32.
    distances = distances.astype(np.float64)
    rejected = distances > threshold if ties_are_wrong else distances >= threshold
    return np.where(is_same, distances < threshold, rejected)


def count_correct(
    distances: np.ndarray, is_same: np.ndarray, thresholds: np.ndarray | float, ties_are_wrong: bool
) -> np.ndarray:
    """Count the correct decisions at each threshold, as if every distance were compared with it, with a single sort."""
    same, different = np.sort(distances[is_same]), np.sort(distances[~is_same])
    accepted = np.searchsorted(same, thresholds, side="left")
    not_rejected = np.searchsorted(different, thresholds, side="right" if ties_are_wrong else "left")
    return accepted + len(different) - not_rejected


def contiguous_folds(num_pairs: int, num_folds: int) -> np.ndarray:
    """Return the index of each pair's fold, ``(num_pairs,)``: folds of equal size, in the order of the pairs."""
    # Division of floats, as in the published code: it decides where folds begin when num_pairs is not a multiple.
    return np.arange(num_pairs) // (num_pairs / num_folds)


def _kfold(num_pairs: int, num_folds: int) -> np.ndarray:
    folds = np.empty(num_pairs)
    for fold, (_, test) in enumerate(KFold(num_folds, shuffle=False).split(folds)):
        folds[test] = fold
    return folds


def _plain_distances(left: np.ndarray, right: np.ndarray, folds: np.ndarray) -> Iterator[Fold]:
    """Yield the same distances for every fold: nothing but the threshold is learned from the other folds."""
    return repeat(Fold(_squared_distances(_unit(left), _unit(right)), None))


def _centred_distances(left: np.ndarray, right: np.ndarray, folds: np.ndarray) -> Iterator[Fold]:
    """Yield for each fold the distances of unit features, centred on the other folds' mean and normalised again.

    All folds are computed at once, from inner products: with the mean m, (l - m)(r - m) = lr - lm - rm + mm.
    """
    left, right = _unit(left), _unit(right)
    train = (folds != np.unique(folds)[:, None]).astype(np.float64)
    means = (train @ left + train @ right) / (2 * train.sum(1, keepdims=True))
    # Everything below is relative to one of the means, so that no large terms cancel.
    centres = means
    left, right, means = left - means[0], right - means[0], means - means[0]
    of_left, of_right, of_means = left @ means.T, right @ means.T, np.einsum("fd,fd->f", means, means)

    def products(one: np.ndarray, other: np.ndarray, of_one: np.ndarray, of_other: np.ndarray) -> np.ndarray:
        return np.einsum("pd,pd->p", one, other)[:, None] - of_one - of_other + of_means

    lengths = [np.sqrt(_positive(products(side, side, of, of))) for side, of in ((left, of_left), (right, of_right))]
    cosines = products(left, right, of_left, of_right) / (_nonzero(lengths[0]) * _nonzero(lengths[1]))
    # A feature without direction has the length 0, every other one 1.
    yield from map(Fold, np.maximum(sum((length > 0).astype(float) for length in lengths) - 2 * cosines, 0).T, centres)


def _compounding_distances(left: np.ndarray, right: np.ndarray, folds: np.ndarray) -> Iterator[Fold]:
    """Yield distances like `_centred_distances`, but in float32, and each fold centres the result of the previous fold.

    The features of fold 9 are thus centred ten times, with means that include their own fold. Operations and their
    order are those of the published code, because float32 sums depend on both.
    """
    left, right = _float32_unit(left, "left"), _float32_unit(right, "right")
    for fold in np.unique(folds):
        train = folds != fold
        mean = np.mean(np.concatenate((left[train], right[train])), axis=0)
        left, right = (_float32_centred(side, mean) for side in (left, right))
        yield Fold(_squared_distances(left, right), mean)


def decision_distances(protocol: Protocol, left: np.ndarray, right: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the squared distances ``(P,)`` of pairs in a fold that subtracts ``centres`` ``(K, D)`` in turn."""
    adds_up = protocol.centring_adds_up
    if adds_up:
        left, right = _float32_unit(left, "left"), _float32_unit(right, "right")
    else:
        left, right = _unit(left), _unit(right)
    for centre in centres:
        left, right = (_float32_centred(side, centre) if adds_up else _unit(side - centre) for side in (left, right))
    return _squared_distances(left, right)


def _squared_distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.sum(np.square(left - right), axis=1)


def _unit(features: np.ndarray) -> np.ndarray:
    return features / _nonzero(np.sqrt(np.einsum("pd,pd->p", features, features)))[:, None]


def _float32_unit(features: np.ndarray, side: str) -> np.ndarray:
    """Return ``features`` as float32 of length 1; raise `ValueError` for a length whose square is not in float32."""
    with np.errstate(over="ignore", under="ignore"):
        in_float32 = np.ascontiguousarray(features, np.float32)
    unit = torch.nn.functional.normalize(torch.from_numpy(in_float32)).numpy()
    is_unit = np.abs(np.sqrt(np.einsum("pd,pd->p", unit, unit)) - 1) < 0.01
    if not is_unit.all():
        pair = int(np.argmin(is_unit))
        problem = f"pair {pair} has a {side} embedding of length {np.linalg.norm(features[pair]):.3g}"
        raise ValueError(f"{problem}, which the float32 of tvconv_reference cannot square: take another protocol")
    return unit


def _float32_centred(features: np.ndarray, mean: np.ndarray) -> np.ndarray:
    features = features - mean
    return features / _nonzero(np.sqrt(np.sum(np.square(features), axis=1)))[:, None]


def _positive(squares: np.ndarray) -> np.ndarray:
    """Set the squared lengths below 1e-24 to 0: the remainder of a feature that equals the mean is rounding error."""
    return np.where(squares < 1e-24, 0, squares)


def _nonzero(norms: np.ndarray) -> np.ndarray:
    # A feature equal to the mean has no direction after centring and stays zero; the published code makes it NaN.
    return np.where(norms == 0, np.ones_like(norms), norms)


def _exact_threshold(distances: np.ndarray, is_same: np.ndarray) -> float:
    """Return the middle one of the best thresholds; candidates are the midpoints between neighbouring distances and one
    threshold beyond either end."""
    distinct = np.unique(distances)
    edges = np.concatenate(([distinct[0] - 1], distinct, [distinct[-1] + 1]))
    # Halfway between two adjacent floats can round down to the lower one, which "<" would not accept.
    candidates = np.maximum((edges[:-1] + edges[1:]) / 2, np.nextafter(edges[:-1], np.inf))
    correct = count_correct(distances, is_same, candidates, ties_are_wrong=False)
    best = candidates[correct == correct.max()]
    return best[len(best) // 2]


def _mean_of_best_on_grid(distances: np.ndarray, is_same: np.ndarray) -> float:
    """Return the mean of the best of 20001 thresholds in [-3, 3]; it may not be one of them if they have gaps."""
    candidates = np.arange(-10000, 10001) * 3.0 / 10000
    correct = count_correct(distances, is_same, candidates, ties_are_wrong=True)
    return float(np.mean(candidates[correct == correct.max()]))


def _first_best_on_grid(distances: np.ndarray, is_same: np.ndarray) -> float:
    candidates = np.arange(0, 4, 0.01)
    return candidates[np.argmax(count_correct(distances, is_same, candidates, ties_are_wrong=False))]


_TVCONV = Protocol(
    name="tvconv",
    description="no flip, centred on the mean of the other folds, best threshold of the other folds",
    sums_flip=False,
    ties_are_wrong=False,
    assign_folds=contiguous_folds,
    fold_distances=_centred_distances,
    best_threshold=_exact_threshold,
    centring_adds_up=False,
    decision="the same person if the squared distance is below the threshold, of embeddings scaled to length 1, minus "
    "the fold's centre (the mean of the other folds), scaled to length 1 again",
)

# Only for comparison with the table printed in the TVConv paper: evaluation_10_fold of its published code, unchanged.
# Distances are float32, thresholds float64, and they are compared as such, as NumPy 2 does in that code. NumPy 1 first
# rounded the threshold to float32, which matters only to a distance within that rounding.
_TVCONV_REFERENCE = Protocol(
    name="tvconv_reference",
    description="for the TVConv paper's printed table only: its published code, which adds up the centring over folds",
    sums_flip=False,
    ties_are_wrong=True,
    assign_folds=contiguous_folds,
    fold_distances=_compounding_distances,
    best_threshold=_mean_of_best_on_grid,
    centring_adds_up=True,
    decision="the same person if the squared distance is below the threshold, of embeddings in float32 scaled to "
    "length 1, then minus the centre and scaled again for each fold from the first to the pair's own",
)

# verification.py of insightface's arcface_torch, whose lineage is David Sandberg's facenet.
_INSIGHTFACE = Protocol(
    name="insightface",
    description="embeddings of the image and its horizontal flip summed, not centred, first best of 400 thresholds",
    sums_flip=True,
    ties_are_wrong=False,
    assign_folds=_kfold,
    fold_distances=_plain_distances,
    best_threshold=_first_best_on_grid,
    centring_adds_up=False,
    decision="the same person if the squared distance is below the threshold, of embeddings summed over the image and "
    "its mirror image, scaled to length 1; nothing is subtracted",
)

PROTOCOLS = {protocol.name: protocol for protocol in (_TVCONV, _TVCONV_REFERENCE, _INSIGHTFACE)}
