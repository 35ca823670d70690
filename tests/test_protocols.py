"""Each protocol against a second, naive derivation of it."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold

from facerec.verification.protocols import PROTOCOLS, count_correct, run_folds


def noisy_pairs(num_pairs, dim=8, noise=1.2, seed=0):
    """Left, right and is_same; all embeddings lean the same way, as a network's do, so that centring matters."""
    rng = np.random.default_rng(seed)
    is_same = rng.random(num_pairs) < 0.5
    left = rng.standard_normal((num_pairs, dim)) + 1
    right = np.where(
        is_same[:, None], left + noise * rng.standard_normal(left.shape), rng.standard_normal(left.shape) + 1
    )
    return left, right, is_same


def unit(rows):
    return np.array([row / np.sqrt(sum(value * value for value in row)) for row in rows])


def tvconv_by_hand(left, right, is_same, num_folds):
    """No array is rebound: each fold starts from the original features."""
    left, right = unit(left), unit(right)
    fold_of = np.array([i // (len(left) / num_folds) for i in range(len(left))])
    thresholds, accuracies = [], []
    for fold in range(num_folds):
        others, tested = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        mean = np.mean(np.concatenate([left[others], right[others]]), axis=0)
        distances = ((unit(left - mean) - unit(right - mean)) ** 2).sum(axis=1)
        ordered = sorted(distances[others])
        between = [(low + high) / 2 for low, high in pairwise(ordered)]
        candidates = [ordered[0] - 0.5, *between, ordered[-1] + 0.5]
        correct = [sum((distances[i] < t) == is_same[i] for i in others) for t in candidates]
        best = [t for t, count in zip(candidates, correct, strict=True) if count == max(correct)]
        thresholds.append(best[len(best) // 2])
        accuracies.append(np.mean([(distances[i] < thresholds[-1]) == is_same[i] for i in tested]))
    return thresholds, accuracies


def published_code(left, right, is_same, num_folds):
    """What the published code does in utils/utils.py and its callers, threshold by threshold."""
    left, right = torch.tensor(left, dtype=torch.float32), torch.tensor(right, dtype=torch.float32)
    left, right = (torch.div(side, torch.norm(side, 2, 1, True)).numpy() for side in (left, right))
    fold_of = np.array([i // (len(left) / num_folds) for i in range(len(left))])
    grid = np.arange(-10000, 10001) * 3.0 / 10000

    def accuracy(scores, flags, threshold):
        return 1.0 * (np.sum(scores[flags] < threshold) + np.sum(scores[~flags] > threshold)) / len(scores)

    thresholds, accuracies, held_out = [], [], []
    for fold in range(num_folds):
        train, test = fold_of != fold, fold_of == fold
        mean = np.expand_dims(np.mean(np.concatenate((left[train, :], right[train, :]), 0), 0), 0)
        left, right = left - mean, right - mean
        left = left / np.expand_dims(np.sqrt(np.sum(np.power(left, 2), 1)), 1)
        right = right / np.expand_dims(np.sqrt(np.sum(np.power(right, 2), 1)), 1)
        scores = np.sum(np.power(left - right, 2), 1)
        by_threshold = np.array([accuracy(scores[train], is_same[train], threshold) for threshold in grid])
        thresholds.append(np.mean(grid[by_threshold == np.max(by_threshold)]))
        accuracies.append(accuracy(scores[test], is_same[test], thresholds[-1]))
        held_out.extend(scores[test].tolist())
    return thresholds, accuracies, held_out


def insightface_by_hand(left, right, is_same, num_folds):
    distances = ((unit(left) - unit(right)) ** 2).sum(axis=1)
    grid = np.arange(0, 4, 0.01)
    thresholds, accuracies = [], []
    for train, test in KFold(n_splits=num_folds, shuffle=False).split(np.arange(len(left))):
        by_threshold = [np.mean((distances[train] < threshold) == is_same[train]) for threshold in grid]
        thresholds.append(grid[int(np.argmax(by_threshold))])
        accuracies.append(np.mean((distances[test] < thresholds[-1]) == is_same[test]))
    return thresholds, accuracies


@pytest.mark.parametrize(("num_pairs", "num_folds"), [(60, 10), (47, 10), (9, 2)])
def test_tvconv_is_the_naive_sweep(num_pairs, num_folds):
    pairs = noisy_pairs(num_pairs)
    thresholds, accuracies, *_ = run_folds(PROTOCOLS["tvconv"], *pairs, num_folds)
    expected_thresholds, expected_accuracies = tvconv_by_hand(*pairs, num_folds)
    assert thresholds == pytest.approx(expected_thresholds, rel=1e-12)
    assert accuracies.tolist() == expected_accuracies


@pytest.mark.parametrize(("num_pairs", "num_folds"), [(30, 3), (23, 4)])
def test_tvconv_reference_is_the_published_code_bit_for_bit(num_pairs, num_folds):
    left, right, is_same = noisy_pairs(num_pairs, dim=33, noise=3, seed=num_pairs)
    left[1::4], right[1::4] = left[0], right[0]  # equal distances, on either side of a fold's end
    done = run_folds(PROTOCOLS["tvconv_reference"], left, right, is_same, num_folds)
    assert (done.thresholds.tolist(), done.accuracies.tolist(), done.scores.tolist()) == published_code(
        left, right, is_same, num_folds
    )


@pytest.mark.parametrize(("num_pairs", "num_folds"), [(60, 10), (47, 10), (9, 2)])
def test_insightface_is_the_naive_grid_over_kfold(num_pairs, num_folds):
    pairs = noisy_pairs(num_pairs)
    thresholds, accuracies, *_ = run_folds(PROTOCOLS["insightface"], *pairs, num_folds)
    assert (thresholds.tolist(), accuracies.tolist()) == insightface_by_hand(*pairs, num_folds)


# Distances and thresholds from one short list, in which float32(0.3) and 0.3 differ and everything else can tie.
values = st.sampled_from([-0.3, 0.0, 0.25, 0.3, float(np.float32(0.3)), 1.0, 1.5, 3.0])


@settings(deadline=None)
@given(
    st.lists(st.tuples(values, st.booleans()), max_size=30), st.lists(values, min_size=1), st.booleans(), st.booleans()
)
def test_counts_from_one_sort_are_the_counts_of_a_loop(pairs, thresholds, ties_are_wrong, in_float32):
    distances = np.array([distance for distance, _ in pairs], np.float32 if in_float32 else np.float64)
    is_same = np.array([same for _, same in pairs], bool)
    counted = []
    for threshold in thresholds:
        accepted = sum(float(distance) < threshold for distance in distances[is_same])
        above = (float(distance) > threshold for distance in distances[~is_same])
        not_below = (float(distance) >= threshold for distance in distances[~is_same])
        counted.append(accepted + sum(above if ties_are_wrong else not_below))
    assert count_correct(distances, is_same, np.array(thresholds), ties_are_wrong).tolist() == counted


# 1 and 2 with the floats beside them: halfway between two of those lies no third.
close = st.sampled_from([1.0, np.nextafter(1, 0), np.nextafter(1, 2), 2.0, np.nextafter(2, 0), np.nextafter(2, 3)])


@settings(deadline=None)
@given(st.lists(st.tuples(close, st.booleans()), min_size=1, max_size=12))
def test_no_threshold_beats_the_one_that_tvconv_chooses(pairs):
    distances, is_same = np.array([d for d, _ in pairs]), np.array([same for _, same in pairs])
    chosen = PROTOCOLS["tvconv"].best_threshold(distances, is_same)
    right_at = [np.sum((distances < threshold) == is_same) for threshold in [chosen, *distances, np.inf]]
    assert right_at[0] == max(right_at)


def test_of_equally_good_thresholds_tvconv_takes_a_good_one_and_the_reference_their_mean():
    distances, is_same = np.array([0.5, 1.0, 1.5, 2.0]), np.array([True, False, True, False])
    # One error in (0.5, 1) and in (1.5, 2), two between them.
    assert PROTOCOLS["tvconv"].best_threshold(distances, is_same) == 1.75
    assert PROTOCOLS["tvconv_reference"].best_threshold(distances, is_same) == pytest.approx(1.25, abs=3e-4)
    assert PROTOCOLS["insightface"].best_threshold(distances, is_same) == pytest.approx(0.51)


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_folds_are_contiguous_and_none_is_empty(name):
    for num_folds in range(2, 13):
        for num_pairs in range(num_folds, 70):
            folds = PROTOCOLS[name].assign_folds(num_pairs, num_folds)
            assert (np.diff(folds) >= 0).all() and np.unique(folds).tolist() == list(range(num_folds))


def test_insightface_alone_sums_flips():
    assert {name: protocol.sums_flip for name, protocol in PROTOCOLS.items()} == {
        "tvconv": False,
        "tvconv_reference": False,
        "insightface": True,
    }
    assert len({protocol.description for protocol in PROTOCOLS.values()} - {""}) == len(PROTOCOLS)
