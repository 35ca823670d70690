"""Intervals: by hand where that is possible, and by simulation from a model whose truth is known."""

import numpy as np
import pytest
from scipy import stats

from facerec.verification.dependence import named_people
from facerec.verification.intervals import accuracy_terms, tar_interval, wilson
from facerec.verification.roc import tar_at_far


def test_wilson_is_the_published_interval_of_independent_decisions():
    # 8 of 10, by hand: centre (0.8 + z^2 / 20) / (1 + z^2 / 10), Wilson 1927; many people, so that z is normal.
    z = stats.norm.ppf(0.975)
    low, high = wilson(0.8, 0.8 * 0.2 / 10, 10**9)
    roots = np.roots([1 + z**2 / 10, -(2 * 0.8 + z**2 / 10), 0.64])
    assert (low, high) == pytest.approx(sorted(roots), abs=1e-6)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_without_an_error_each_person_counts_as_one_decision(rate):
    low, high = wilson(rate, 0.0, 50)
    z = stats.t.ppf(0.975, 49)
    assert (1 - low if rate else high) == pytest.approx(z**2 / 50 / (1 + z**2 / 50))
    assert (high if rate else low) == rate


def test_the_terms_of_an_accuracy_weigh_each_fold_alike():
    correct, folds = np.array([True, False, True, True, False]), np.array([0, 0, 1, 1, 1])
    accuracy, terms = accuracy_terms(correct, folds)
    assert accuracy == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert terms == pytest.approx((correct - accuracy) * [1 / 4, 1 / 4, 1 / 6, 1 / 6, 1 / 6])


def drawn(rng, people=200, each=5):
    """Distances of same-person pairs and of as many different-person pairs; each person shifts all of their own."""
    one = np.repeat(np.arange(people), each)
    other = (one + rng.integers(1, people, len(one))) % people
    own, theirs = rng.normal(0, 0.5, (2, people))
    same = own[one] + rng.normal(0, 0.7, len(one))
    different = 3 + theirs[one] + theirs[other] + rng.normal(0, 0.7, len(one))
    who = named_people(np.concatenate([one, one]), np.concatenate([one, other]))
    return np.concatenate([same, different]), np.arange(2 * len(one)) < len(one), who


def test_the_interval_of_a_tar_contains_the_true_one_as_often_as_it_says():
    rng, far = np.random.default_rng(1), 0.05
    of_same, of_different = np.hypot(0.5, 0.7), np.sqrt(0.5 + 0.7**2)
    truth = stats.norm.cdf((3 + of_different * stats.norm.ppf(far)) / of_same)
    found = []
    for _ in range(200):
        scores, is_same, people = drawn(rng)
        low, high = tar_interval(scores, is_same, far, people)
        assert low <= tar_at_far(scores, is_same, far) <= high
        found.append(low <= truth <= high)
    # 95 % of 200 is 190, with a standard deviation of 3.
    assert 180 <= sum(found) <= 198


def test_one_that_takes_the_pairs_for_independent_would_be_too_narrow():
    scores, is_same, people = drawn(np.random.default_rng(2), people=50, each=20)
    alone = np.arange(len(scores))
    narrow = tar_interval(scores, is_same, 0.05, named_people(alone, alone + len(scores)))
    wide = tar_interval(scores, is_same, 0.05, people)
    assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])


def test_too_few_false_accepts_have_no_interval():
    scores, is_same, people = drawn(np.random.default_rng(3))  # 1000 different-person pairs
    assert tar_interval(scores, is_same, 0.009, people) is None and tar_interval(scores, is_same, 0.01, people)


def test_equal_scores_have_an_interval_from_the_number_of_people():
    people = named_people(np.arange(40), np.arange(40) + np.tile([0, 1], 20))
    low, high = tar_interval(np.ones(40), np.tile([True, False], 20), 0.5, people)
    assert (low, high) == pytest.approx((0, wilson(0.0, 0.0, people.num_people).high))
