"""Spreads and ratios of numbers that a person can order."""

import pytest

from facerec.perf.comparison import Case, Goal, Spread, spread


def case(*goals: Goal) -> Case:
    # The machine is ten times slower in the second round, for both.
    return Case("layer", "4 x 4", "ms", lambda: {"slow": [6.0, 60.0, 6.3], "fast": [2.0, 30.0, 2.1]}, goals)


def test_a_spread_is_the_median_and_the_quartiles():
    assert spread([5, 1, 2, 4, 3]) == Spread(median=3, lower=2, upper=4)
    assert spread([7.0]) == Spread(7, 7, 7)


def test_a_ratio_is_taken_round_by_round():
    (ratio,) = case(Goal("slow", "fast")).run().ratios
    assert ratio.name == "slow / fast"
    assert ratio.spread == Spread(median=3, lower=2.5, upper=3)
    assert ratio.met is None


@pytest.mark.parametrize(
    ("target", "at_most", "met"), [(3, False, True), (3.1, False, False), (3, True, True), (2.9, True, False)]
)
def test_a_target_is_met_at_its_own_value(target, at_most, met):
    (ratio,) = case(Goal("slow", "fast", target, at_most)).run().ratios
    assert ratio.met is met


def test_a_run_that_does_not_count_meets_and_misses_nothing():
    comparison = case(Goal("slow", "fast", 3)).run(counts=False)
    assert comparison.ratios[0].met is None and comparison.ratios[0].target == 3


def test_a_comparison_says_what_was_compared():
    comparison = case().run()
    assert (comparison.section, comparison.case, comparison.unit) == ("layer", "4 x 4", "ms")
    assert comparison.contenders["fast"].median == 2.1
