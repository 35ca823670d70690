"""Comparisons of groups of runs, against loops and published examples."""

import numpy as np
import pytest
from scipy import stats

from facerec.verification.dependence import dependent_variance, named_people
from facerec.verification.intervals import accuracy_terms, accuracy_variance
from facerec.verification.paired_comparison import Measured, compare, holm, mean_interval, variances

PAIRS = 400
RNG = np.random.default_rng(0)
ONE, OTHER = RNG.integers(0, 60, (2, PAIRS))
PEOPLE, FOLDS = named_people(ONE, OTHER), np.arange(PAIRS) // 40


def measured(rate, seed):
    """A run that decides a pair correctly with about this probability; hard pairs are hard for all."""
    hard = np.random.default_rng(99).normal(0, 1, PAIRS)
    own = np.random.default_rng(seed).normal(0, 0.7, PAIRS)
    return Measured(*accuracy_terms(hard + own < 1.22 * stats.norm.ppf(rate), FOLDS))


def test_the_variance_over_seeds_and_pairs_is_two_way_clustered():
    runs = [measured(0.8, seed) for seed in range(4)]
    found = variances(runs, PEOPLE)
    # By hand: all products of terms of two runs and pairs that share a person or are of the same run, as a mean.
    errors = np.stack([run.terms for run in runs]) / 4
    factor = 1.15 * PEOPLE.num_people / (PEOPLE.num_people - 1)
    by_pairs = sum(
        errors[r, p] * errors[s, q]
        for p in range(PAIRS)
        for q in range(PAIRS)
        if {ONE[p], OTHER[p]} & {ONE[q], OTHER[q]}
        for r in range(4)
        for s in range(4)
    )
    assert found.pairs == pytest.approx(by_pairs * factor)
    assert found.seeds == pytest.approx(np.var([run.rate for run in runs], ddof=1) / 4)
    residuals = [run.terms - 4 * errors.mean(0) for run in runs]
    shared = [dependent_variance(residual, PEOPLE) * 1.15 for residual in residuals]
    assert found.shared == pytest.approx(sum(shared) / 12)
    assert found.total() == max(found.pairs + found.seeds - found.shared, found.pairs, found.seeds)


def test_one_seed_has_an_interval_over_pairs_and_no_p():
    first, second = measured(0.8, 1), measured(0.85, 2)
    found = compare([first], [second], PEOPLE)
    error = np.sqrt(accuracy_variance(second.terms - first.terms, PEOPLE))
    reach = stats.t.ppf(0.975, PEOPLE.num_people - 1) * error
    assert found.difference == second.rate - first.rate
    assert found.interval == pytest.approx((found.difference - reach, found.difference + reach))
    assert (found.p, found.seeds_needed, found.seeds) == (None, None, 1)


def test_pairing_removes_what_both_share():
    runs = [[measured(rate, 10 * seed + number) for seed in range(3)] for number, rate in enumerate((0.8, 0.85))]
    found = compare(*runs, PEOPLE)
    apart = sum(variances(group, PEOPLE).total() for group in runs)
    assert (found.interval.high - found.interval.low) / 2 < 4.303 * np.sqrt(apart)
    assert (
        variances([Measured(b.rate - a.rate, b.terms - a.terms) for a, b in zip(*runs, strict=True)], PEOPLE).total()
        < apart
    )


def test_equal_runs_do_not_differ():
    runs = [measured(0.8, seed) for seed in range(3)]
    found = compare(runs, runs, PEOPLE)
    assert (found.difference, found.interval, found.p, found.seeds_needed) == (0, (0, 0), 1, 2)


def test_a_large_difference_is_found_and_needs_few_seeds_and_a_small_one_needs_many():
    base = [measured(0.7, seed) for seed in range(3)]
    large, small = (compare(base, [measured(rate, 50 + seed) for seed in range(3)], PEOPLE) for rate in (0.9, 0.71))
    assert large.p < 0.01 and large.interval.low > 0 and large.seeds_needed <= 3
    assert small.p > 0.05 and (small.seeds_needed is None or small.seeds_needed > large.seeds_needed)


def test_the_seeds_that_are_said_to_be_needed_have_the_power():
    """A difference of 0.05, with this spread over seeds and no error over pairs, in simulated t tests."""
    rng, spread = np.random.default_rng(3), 0.04
    terms = np.zeros(PAIRS)
    rates = [0.05 - spread / np.sqrt(2) * 1.0, 0.05 + spread / np.sqrt(2)]  # standard deviation 0.04, mean 0.05
    found = compare([Measured(0, terms)] * 2, [Measured(rate, terms) for rate in rates], PEOPLE)
    power = {
        number: np.mean(stats.ttest_1samp(rng.normal(0.05, spread, (20000, number)), 0, axis=1).pvalue < 0.05)
        for number in (found.seeds_needed - 1, found.seeds_needed)
    }
    less, enough = power.values()
    assert less < 0.81 and enough > 0.77


def test_a_mean_over_seeds_is_inside_its_interval_and_one_seed_alone_is_narrower():
    runs = [measured(0.8, seed) for seed in range(5)]
    low, high = mean_interval(runs, PEOPLE)
    assert low < np.mean([run.rate for run in runs]) < high
    # With three seeds that differ by 10 points, the interval is that of the seeds: t of 2 degrees, 4.3.
    spread = [Measured(rate, np.zeros(PAIRS)) for rate in (0.4, 0.5, 0.6)]
    low, high = mean_interval(spread, PEOPLE)
    assert high - 0.5 == pytest.approx(0.5 - low) and 0.15 < high - 0.5 < 4.303 * 0.1 / np.sqrt(3)


def test_holm_is_the_step_down_of_bonferroni():
    # By hand: 0.01 * 4, then 0.02 * 3, then 0.03 * 2 raised to the one before, then 0.2.
    assert holm([0.03, 0.01, 0.2, 0.02]) == pytest.approx([0.06, 0.04, 0.2, 0.06])
    assert (holm([]), holm([0.5]), holm([0.9, 0.8])) == ([], [0.5], [1.0, 1.0])
