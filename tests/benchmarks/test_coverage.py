"""The coverage section: its models have the rates that it says, and its shares are counted."""

import numpy as np
import pytest

from facerec.perf.coverage import Design, _measure, _run, _true_rate, cases
from facerec.perf.timing import QUICK
from facerec.verification.intervals import Interval
from facerec.verification.roc import tar_at_far


def test_the_true_rates_are_those_of_very_many_pairs():
    design = Design(200_000, 2, 2.5)
    scores, is_same, people = design.draw(np.random.default_rng(0))
    assert people.num_people == 200_000 and (people.one == people.other).tolist() == is_same.tolist()
    assert tar_at_far(scores, is_same, 0.01) == pytest.approx(design.true_tar(0.01), abs=0.01)
    at = np.linspace(0, 2.5, 101)
    accuracies = [np.mean((scores < threshold) == is_same) for threshold in at]
    assert max(accuracies) == pytest.approx(design.true_accuracy(), abs=0.003)


def test_the_true_rate_of_a_network_is_that_of_very_many_people():
    rng = np.random.default_rng(1)
    own = rng.normal(0, 0.6, (2, 200_000))
    rates = [
        _run(rng, hard + rng.normal(0, 0.8, 200_000), 1.5).rate for hard in (2 * own[0], own.sum(0)) for _ in "abcd"
    ]
    assert np.mean(rates) == pytest.approx(_true_rate(1.5), abs=0.01)


def test_shares_are_percent_of_the_draws_in_each_round():
    found = iter([Interval(0, 1), Interval(2, 3), Interval(0, 1), Interval(0, 1)])
    assert _measure(2, 2, lambda _: iter([("rate", 0.5, next(found))])) == {"rate": [50, 100]}


def test_every_case_runs():
    for case in cases(QUICK):
        assert all(0 <= share.median <= 100 for share in case.run(counts=False).contenders.values())
