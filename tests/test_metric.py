"""Comparisons by TAR at a FAR and FNMR at an FMR: the rates, refusals, and intervals of known differences."""

import json

import numpy as np
import pytest
from says import refuses, says
from scipy import stats
from score_files import IS_SAME, LEFT, PAIRS, PEOPLE, RIGHT, write_scores
from test_report import results

from facerec.errors import InputError
from facerec.runs.comparable import compare_alike
from facerec.runs.comparison_table import comparison_rows
from facerec.runs.metric import ACCURACY, Metric
from facerec.runs.report import find_runs
from facerec.verification.dependence import named_people
from facerec.verification.intervals import tar_terms
from facerec.verification.paired_comparison import Measured, compare
from facerec.verification.roc import tar_at_far

DEPTHWISE = {"operator": {"_target_": "facerec.operators.depthwise.Depthwise"}}


@pytest.mark.parametrize(
    ("metric", "facts"),
    [
        (Metric("tar"), ("metric=tar", "FAR", "rate=0.01")),
        (Metric("fnmr", 1.0), ("metric=fnmr", "rate=1", "FMR", "between 0 and 1")),
        (Metric("accuracy", 0.1), ("rate=0.1", "no effect", "metric=tar")),
    ],
)
def test_a_rate_that_is_missing_or_wrong_is_refused(metric, facts):
    with refuses(*facts, error=InputError):
        metric.refuse_wrong_rate()


def distances(gap, seed):
    return (np.random.default_rng(seed).normal(np.where(IS_SAME, 0, gap))).astype(np.float32)


@pytest.fixture
def runs(tmp_path):
    """Three seeds of a weak and of a strong network."""
    for seed in (1, 2, 3):
        for name, gap, changed in (("weak", 1, DEPTHWISE), ("strong", 5, {})):
            folder = tmp_path / f"{name}{seed}"
            folder.mkdir()
            (folder / "results.json").write_text(json.dumps(results(seed=seed, **changed)))
            write_scores(folder / "last_scores.npz", ["lfw"], seed=seed, scores=distances(gap, seed))
    return find_runs([tmp_path])


@pytest.mark.parametrize("kind", ["tar", "fnmr"])
def test_the_difference_is_that_of_the_rates(kind, runs):
    (found,), _, _, refused = compare_alike(runs, "operator", metric=Metric(kind, 0.1))
    means = [np.mean([tar_at_far(distances(gap, seed), IS_SAME, 0.1) for seed in (1, 2, 3)]) for gap in (1, 5)]
    means = means if kind == "tar" else [1 - mean for mean in means]
    assert found.means == pytest.approx(tuple(means)) and not refused
    assert found.found.difference == pytest.approx(means[1] - means[0])
    label = f"{kind.upper()} at {'FAR' if kind == 'tar' else 'FMR'} 0.1"
    # A smaller FNMR is better, and a larger TAR.
    assert says(found.sentence(), "TVConv, MobileNetV2 x0.1 is better than Depthwise", f"{label} ")


def test_a_rate_that_the_pairs_do_not_resolve_is_not_compared(runs):
    found, problems, _, (refused,) = compare_alike(runs, "operator", metric=Metric("fnmr", 0.05))
    assert not found and not problems
    assert says(refused.sentence(), "lfw: n/a", "5 of 100 different-person pairs", "200 such pairs")
    (row,) = comparison_rows(found, [refused])
    assert row["benchmark"] == "lfw" and {row[c] for c in ("accuracy", "baseline", "difference", "p")} == {"n/a"}


def test_equal_networks_do_not_differ_in_either_rate():
    people = named_people(PEOPLE[LEFT], PEOPLE[RIGHT])
    same = [Measured(*tar_terms(distances(2, seed), IS_SAME, 0.2, people), 1.0) for seed in (1, 2)]
    found = compare(same, same, people)
    assert (found.difference, found.interval, found.p) == (0, (0, 0), 1) and len(same[0].terms) == PAIRS


def drawn(rng, gap, shared, one, other, is_same):
    """A run's distances: people, pairs and its own noise; ``gap`` differs a little with the seed."""
    gap = gap + rng.normal(0, 0.05)
    return np.where(is_same, 0, gap) + shared + rng.normal(0, 0.5, len(one))


def test_the_interval_of_a_difference_contains_the_true_one_as_often_as_it_says():
    rng, far, hits = np.random.default_rng(4), 0.05, []
    one, is_same = np.repeat(np.arange(150), 12), np.arange(1800) % 2 == 0
    spread = np.sqrt([0.5 + 0.25, 1.0])  # of same-person and of different-person pairs
    truths = [stats.norm.cdf((gap + spread[1] * stats.norm.ppf(far)) / spread[0]) for gap in (2.4, 2.6)]
    for _ in range(200):
        other = np.where(is_same, one, (one + rng.integers(1, 150, len(one))) % 150)
        people, own, theirs = named_people(one, other), rng.normal(0, 0.5, 150), rng.normal(0, 0.5, 150)
        # Variances: 0.25 + 0.25 + 0.25 of one person, and 2 * 0.25 + 0.25 + 0.25 of two.
        shared = np.where(is_same, own[one], theirs[one] + theirs[other]) + rng.normal(0, 0.5, len(one))
        groups = [
            [
                Measured(*tar_terms(drawn(rng, gap, shared, one, other, is_same), is_same, far, people), 1.0)
                for _ in range(3)
            ]
            for gap in (2.4, 2.6)
        ]
        low, high = compare(*groups, people).interval
        hits.append(low <= truths[1] - truths[0] <= high)
    # 95 % of 200 is 190, with a standard deviation of 3.
    assert 181 <= sum(hits) <= 199, sum(hits)


def test_accuracy_has_no_rate():
    assert ACCURACY.label == "accuracy" and ACCURACY.refuse_wrong_rate() is None
