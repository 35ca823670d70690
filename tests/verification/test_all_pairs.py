"""All pairs at once, against double loops over images."""

from itertools import combinations
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from says import refuses, says
from scipy import stats

from facerec.verification import all_pairs
from facerec.verification.all_pairs import STEPS, compare_all
from facerec.verification.dependence import named_people
from facerec.verification.groups import applied_elsewhere
from facerec.verification.intervals import tar_interval
from facerec.verification.match_rates import (
    FMRS,
    det_points,
    operating_point,
    operating_points,
)


def images(seed, people=12, most=5, dim=6, noise=0.7):
    """Embeddings of people with one to ``most`` images, in no order, and the name of each one's person."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), rng.integers(1, most + 1, people))
    rng.shuffle(person)
    return rng.normal(size=(people, dim))[person] + rng.normal(0, noise, (len(person), dim)), person


def by_hand(embeddings, person):
    """(one, other, cosine in steps, whether mated) of each pair, by a double loop."""
    rows = []
    for i, j in combinations(range(len(person)), 2):
        a, b = embeddings[i], embeddings[j]
        rows.append((i, j, round(STEPS * a @ b / np.sqrt((a @ a) * (b @ b))), person[i] == person[j]))
    return rows


def listed(pairs):
    """Each pair once, smaller image first: {(one, other): steps}."""
    found = {}
    for one, other, steps in zip(*(column.tolist() for column in pairs), strict=True):
        found[min(one, other), max(one, other)] = steps
    assert len(found) == len(pairs.steps)
    return found


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 100, 1 << 22]), st.sampled_from([50, 1 << 20]))
def test_every_pair_is_compared_once_whatever_the_blocks(seed, block, sorting):
    embeddings, person = images(seed)
    with mock.patch.multiple(all_pairs, _BLOCK=block, _WORTH_SORTING=sorting):
        found = compare_all(embeddings, [f"person {number}" for number in person])
    expected = by_hand(embeddings, person)
    mated, top = listed(found.mated), listed(found.top)
    others = sorted((steps for *_, steps, same in expected if not same), reverse=True)
    assert mated.keys() == {(i, j) for i, j, _, same in expected if same}
    assert found.num_mated == len(mated) and found.num_non_mated == len(others) == found.histogram.sum()
    # Float32 products are off by a step or two.
    for i, j, steps, _ in expected:
        if (i, j) in mated | top:
            assert abs((mated | top)[i, j] - steps) <= 2
    kept = int(0.01 * len(others)) + 1
    assert len(top) >= kept and abs(min(sorted(top.values())[-kept:]) - others[kept - 1]) <= 2
    for rank in (0, len(others) // 3, len(others) - 1):
        assert abs(found.nth_similar(rank) - others[rank]) <= 2


def drawn(seed, **how):
    """All pairs of `images` with the non-mated ones kept, all of them."""
    with mock.patch.object(all_pairs, "MOST_FMR", 1.0):
        return compare_all(*images(seed, **how))


def as_list(found):
    """The same pairs as `tar_interval` takes them: distances, whether mated, and people."""
    assert len(found.top.steps) == found.num_non_mated
    steps = np.concatenate([found.mated.steps, found.top.steps])
    one, other = (np.concatenate([found.mated[side], found.top[side]]) for side in (0, 1))
    is_same = np.arange(len(steps)) < found.num_mated
    return -steps.astype(float), is_same, named_people(found.person[one], found.person[other])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.01, 0.03, 0.2]))
def test_the_point_and_its_interval_are_those_of_the_listed_pairs(seed, fmr):
    found = drawn(seed, people=25, most=4)
    scores, is_same, people = as_list(found)
    point = operating_point(found, fmr)
    allowed = [s for s in sorted(scores[~is_same]) if np.mean(scores[~is_same] < s) <= fmr][-1]
    assert -point.step == allowed
    assert point.fnmr == np.mean(scores[is_same] >= allowed)
    assert point.false_matches == np.sum(scores[~is_same] < allowed)
    expected = tar_interval(scores, is_same, fmr, people)
    if expected is None:
        assert point.interval is None and says(point.reason, "10", "non-mated pairs", "interval")
    else:
        assert point.interval == pytest.approx((1 - expected.high, 1 - expected.low), abs=1e-9)
        assert point.reason == ""


def test_the_kept_pairs_suffice_for_the_points():
    embeddings, person = images(3, people=120, most=4)
    with mock.patch.multiple(all_pairs, _BLOCK=5000, _WORTH_SORTING=0):
        few = compare_all(embeddings, person)
    all_of_them = drawn(3, people=120, most=4)
    assert len(few.top.steps) < len(all_of_them.top.steps) / 5
    assert operating_points(few)[0] == operating_points(all_of_them)[0]


def test_the_interval_contains_the_true_rate_as_often_as_it_says():
    found, fmr = [], 0.05
    with mock.patch.object(all_pairs, "MOST_FMR", 1.0):
        truth = np.mean([operating_point(compare_all(*faces(seed, 300)), fmr).fnmr for seed in range(3)])
        for seed in range(100, 300):
            low, high = operating_point(compare_all(*faces(seed, 40)), fmr).interval
            found.append(low <= truth <= high)
    # 95 % of 200 is 190, with a standard deviation of 3.
    assert 180 <= sum(found) <= 199


def faces(seed, people):
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), 3)
    return rng.normal(size=(people, 8))[person] + rng.normal(0, 1.0, (3 * people, 8)), person


def test_rates_that_the_pairs_cannot_resolve_are_refused_or_have_no_interval():
    found = compare_all(*images(5, people=40, most=4))
    points, refused = operating_points(found)
    number = found.num_non_mated
    assert set(points) | set(refused) == set(FMRS) and points and refused
    for key, fmr in FMRS.items():
        assert (key in points) == (fmr * number >= 1)
        if key in points:
            assert (points[key].interval is None) == (fmr * number < 10) == ("no_interval" in points[key].summary())
        else:
            assert says(refused[key], str(number), f"{fmr:g}", str(round(1 / fmr)))


def test_equal_embeddings_tie_wherever_they_stand():
    found = compare_all(np.tile(np.random.default_rng(0).normal(size=(1, 37)), (70, 1)), np.arange(70) // 2)
    assert set(found.mated.steps.tolist()) == {STEPS} and found.histogram[-1] == found.num_non_mated
    point = operating_point(found, 1e-2)
    assert (point.threshold, point.false_matches, point.fnmr) == (1.0, 0, 1.0)
    # No mated pair decides otherwise than the others, so that each person counts as one; all thresholds are equal.
    z = stats.t.ppf(0.975, 34)
    assert point.interval == pytest.approx((1 - z**2 / 35 / (1 + z**2 / 35), 1.0))


def test_opposite_embeddings_are_at_the_other_end():
    found = compare_all([[1.0, 0], [1.0, 0], [-1.0, 0]], [0, 0, 1])
    assert found.histogram[0] == 2 and found.nth_similar(0) == -STEPS and found.mated.steps.tolist() == [STEPS]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_a_threshold_of_one_set_is_counted_on_the_other(seed):
    with mock.patch.dict(FMRS, {"1e-1": 0.1}):
        sets = {"a": drawn(seed), "b": drawn(seed + 1, noise=0.3)}
        rows = applied_elsewhere(sets)
    assert {(row["chosen_on"], row["applied_to"]) for row in rows} == {("a", "b"), ("b", "a")}
    for row in rows:
        theirs = sets[row["applied_to"]]
        steps, mated = theirs.top.steps / STEPS, theirs.mated.steps / STEPS
        assert row["fmr"] == sum(s > row["cosine_threshold"] for s in steps) / len(steps)
        assert row["fnmr"] == sum(s <= row["cosine_threshold"] for s in mated) / len(mated)
        assert row["cosine_threshold"] == operating_point(sets[row["chosen_on"]], float(row["fmr_there"])).threshold


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_the_det_curve_runs_from_no_match_to_all_of_them(seed):
    found = drawn(seed)
    fmr, fnmr = det_points(found, 50)
    assert (fmr[0], fnmr[-1], fmr[-1]) == (0, 0, 1) and np.all(np.diff(fmr) > 0) and np.all(np.diff(fnmr) <= 0)
    steps, mated = sorted(found.top.steps), found.mated.steps
    for x, y in zip(fmr, fnmr, strict=True):
        number = round(x * len(steps))
        between = steps[-number - 1] if number < len(steps) else -STEPS - 1
        assert y == np.mean(mated <= between)


@pytest.mark.parametrize(
    ("embeddings", "people", "facts"),
    [
        ([[1, 0], [np.nan, 0], [0, 1]], [0, 0, 1], ("image 1", "NaN", "overflow")),
        ([[1, 0], [np.inf, 0], [0, 1]], [0, 0, 1], ("image 1", "infinite")),
        ([[1, 0], [1, 0], [0, 0]], [0, 0, 1], ("image 2", "all-zero", "dead last layer")),
        ([[1, 0], [1, 0]], [0, 0], ("2 images", "two people")),
        ([[1, 0], [1, 0]], [0, 1], ("2 images", "person with two images")),
        ([[1, 0], [1, 0]], [0], ("2 embeddings", "(1,)", "one person per image")),
        ([1, 0], [0, 0], ("(2,)", "(images, embedding_dim)")),
    ],
)
def test_what_cannot_be_compared_is_refused(embeddings, people, facts):
    with refuses(*facts):
        compare_all(embeddings, people)
