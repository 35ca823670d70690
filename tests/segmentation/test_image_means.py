"""Means over images, their intervals and paired tests, against formulas and simulations."""

import numpy as np
import pytest
from scipy import stats

from facerec.segmentation.image_means import (
    columns,
    compare_networks,
    compare_over_seeds,
    counts,
    mean_over_images,
    mean_over_seeds,
    means,
)
from facerec.segmentation.mask_protocols import TVCONV, score_structures
from facerec.segmentation.mask_scoring import structures

RNG = np.random.default_rng(0)
DICE = np.clip(RNG.normal(0.85, 0.06, 65), 0, 1)


def test_the_interval_of_a_mean_is_as_wide_as_students():
    for number in (8, 65):
        values = np.random.default_rng(number).normal(10, 3, number)
        found = mean_over_images(values, 20_000)
        low, high = stats.t.interval(0.95, number - 1, values.mean(), stats.sem(values))
        assert found.mean == values.mean() and found.num_images == number
        assert found.interval.low == pytest.approx(low, abs=0.1 * (high - low))
        assert found.interval.high == pytest.approx(high, abs=0.1 * (high - low))


def test_the_interval_of_skewed_distances_reaches_further_up():
    values = np.exp(np.random.default_rng(1).normal(2, 1, 40))
    mean, (low, high), _ = mean_over_images(values)
    assert high - mean > 1.1 * (mean - low) > 0


def test_an_interval_contains_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    samples = rng.normal(0.8, 0.1, (300, 12))
    hits = [low <= 0.8 <= high for _, (low, high), _ in (mean_over_images(sample, 300) for sample in samples)]
    assert 0.91 < np.mean(hits) < 0.985


def test_an_interval_is_the_same_at_each_call_and_one_image_has_none():
    assert mean_over_images(DICE) == mean_over_images(DICE)
    assert mean_over_images(np.array([0.5])) == (0.5, None, 1)
    low, high = mean_over_images(np.full(5, 0.5)).interval
    assert low == high == 0.5


def test_two_networks_are_compared_image_by_image():
    better = DICE + 0.01 + np.random.default_rng(3).normal(0, 0.01, 65)
    found = compare_networks(DICE, better)
    assert found.difference == pytest.approx((better - DICE).mean()) and found.p < 0.001
    assert 0 < found.interval.low < found.difference < found.interval.high < 0.02
    # Unpaired, nothing would be found: the images differ much more than the networks.
    assert stats.ttest_ind(DICE, better).pvalue > 0.1
    back = compare_networks(better, DICE)
    assert (back.difference, back.p) == (pytest.approx(-found.difference), found.p)


def test_equal_networks_do_not_differ():
    assert compare_networks(DICE, DICE) == (0, (0, 0), 1, 65)


def test_p_is_that_of_all_signs():
    first, second = np.array([3.0, 5, 2, 7, 6, 1]), np.array([4.0, 4, 5, 9, 8, 6])
    differences = second - first
    signs = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1)
    exact = np.mean(np.abs(differences @ signs) >= abs(differences.sum()))
    assert compare_networks(first, second, 20_000).p == pytest.approx(exact, abs=0.01)


def test_p_is_below_a_twentieth_in_a_twentieth_of_samples_without_a_difference():
    pairs = np.random.default_rng(4).normal(0, 1, (300, 2, 15))
    found = [compare_networks(*pair, resamples=300).p < 0.05 for pair in pairs]
    assert 0.02 < np.mean(found) < 0.09


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_groups_of_runs_are_compared_over_seeds_and_images(scale):
    rng = np.random.default_rng(5)
    first = np.clip(DICE + rng.normal(0, 0.02, (3, 65)), 0, 1) * scale
    second = np.clip(first / scale + 0.03 + rng.normal(0, 0.005, (3, 65)), 0, 1) * scale
    found = compare_over_seeds(first, second)
    differences = second - first
    assert found.difference == pytest.approx(differences.mean()) and found.seeds == 3
    assert found.p < 0.01 and found.interval.low > 0
    # With one seed the images alone are a sample: Student's interval of the differences.
    alone = compare_over_seeds(first[:1], second[:1])
    expected = stats.t.interval(0.95, 64, differences[0].mean(), stats.sem(differences[0]))
    assert alone.interval == pytest.approx(expected) and alone.p is None


def test_the_mean_over_seeds_is_as_uncertain_as_seeds_and_images_are():
    one_run = mean_over_seeds(DICE[None])
    expected = stats.t.interval(0.95, 64, DICE.mean(), stats.sem(DICE))
    assert one_run.interval == pytest.approx(expected) and one_run.mean == DICE.mean()
    seeds = np.array([[0.2], [0.4], [0.9]]) + np.zeros((3, 65))
    mean, (low, high), _ = mean_over_seeds(seeds, most=1.0)
    assert mean == pytest.approx(0.5) and low == 0 and high == 1
    expected = 0.5 + stats.t.ppf(0.975, 2) * stats.sem([0.2, 0.4, 0.9])
    assert mean_over_seeds(seeds).interval.high == pytest.approx(expected)
    assert mean_over_seeds(np.zeros((2, 4))).interval == (0, 0)


def test_scores_become_columns_means_and_counts():
    mask = np.zeros((20, 20), np.uint8)
    mask[4:16, 4:16], mask[8:12, 8:12] = 1, 2
    right = structures(mask)
    without_cup = right * np.array([False, True])[:, None, None]
    scores = [score_structures(one, mask, TVCONV) for one in (right, right, without_cup, right)]
    table = columns(scores)
    assert table["cup_dice"].tolist() == [1, 1, 0, 1] and table["cup_empty"].tolist() == [False, False, True, False]
    found = means(scores)
    assert found["cup_dice"].mean == 0.75 and found["disc_dice"].interval == (1, 1)
    assert "cup_empty" not in found and found["cdr_error"].mean == pytest.approx(4 / 12 / 4)
    assert counts(scores) == {"cup_empty": 1, "disc_empty": 0, "cup_absent": 0, "disc_absent": 0}
