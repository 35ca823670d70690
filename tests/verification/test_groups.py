"""Rates by group, against double loops over the images of a group."""

from itertools import combinations
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from says import says
from scipy import stats

from facerec.verification import all_pairs
from facerec.verification.all_pairs import compare_all
from facerec.verification.dependence import dependent_variance, named_people
from facerec.verification.gaps import GroupRate, gap_interval
from facerec.verification.groups import applied_elsewhere, gap, rates_at, rates_by_group
from facerec.verification.intervals import wilson
from facerec.verification.match_rates import operating_point


def compared(seed):
    rng = np.random.default_rng(seed)
    person = rng.integers(0, 12, 50)
    embeddings = rng.normal(size=(12, 4))[person] + rng.normal(0, 0.6, (50, 4))
    groups = [("a", "b", None)[number % 3] if image else None for image, number in enumerate(person)]
    with mock.patch.object(all_pairs, "MOST_FMR", 1.0):
        return compare_all(embeddings, person), groups


def all_steps(pairs):
    """Steps of each pair of images, smaller one first."""
    found = {}
    for some in (pairs.mated, pairs.top):
        for one, other, steps in zip(*(column.tolist() for column in some), strict=True):
            found[min(one, other), max(one, other)] = steps
    return found


@settings(max_examples=20, deadline=None)
@example(604106, 0.01)  # a group with one person in mated pairs
@given(st.integers(0, 10**6), st.sampled_from([0.01, 0.1]))
def test_the_rates_of_a_group_are_those_of_its_own_pairs(seed, fmr):
    pairs, groups = compared(seed)
    step = operating_point(pairs, fmr).step
    steps, found = all_steps(pairs), rates_by_group(pairs, groups, step)
    assert list(found) == ["a", "b"]
    for name, rates in found.items():
        images = [image for image, group in enumerate(groups) if group == name]
        both = list(combinations(images, 2))
        assert (rates.images, rates.people) == (len(images), len({pairs.person[image] for image in images}))
        for rate, mated in ((rates.fmr, False), (rates.fnmr, True)):
            chosen = [(i, j) for i, j in both if (pairs.person[i] == pairs.person[j]) == mated]
            wrong = np.array([(steps[pair] > step) != mated for pair in chosen])
            people = named_people(*(pairs.person[[pair[side] for pair in chosen]] for side in (0, 1)))
            assert (rate.rate, rate.pairs) == (pytest.approx(wrong.mean()), len(chosen))
            # People without a pair of the kind count as people of the group too.
            variance = dependent_variance((wrong - wrong.mean()) / len(wrong), people)
            variance *= rates.people / (rates.people - 1) * max(people.num_people - 1, 1) / people.num_people
            assert rate.interval == pytest.approx(wilson(wrong.mean(), variance, rates.people), abs=1e-9)
        assert rates.summary()["non_mated_pairs"] + rates.summary()["mated_pairs"] == len(both)
    for kind in ("fmr", "fnmr"):
        values = [getattr(rates, kind).rate for rates in found.values()]
        assert gap(found)[kind] == pytest.approx(abs(values[0] - values[1]))


def test_a_group_without_a_pair_of_a_kind_has_no_rate_and_no_part_in_the_gap():
    pairs = compare_all(np.random.default_rng(0).normal(size=(5, 3)), [0, 0, 1, 1, 2])
    found = rates_by_group(pairs, ["two", "two", "more", "more", "more"], 0)
    assert found["two"].fmr is None and found["two"].summary()["fmr_interval"] is None
    assert found["more"].fmr.pairs == 2 and found["more"].fnmr.pairs == 1
    assert gap(found)["fmr"] is None and gap(found)["fnmr"] is not None
    assert says(gap(found)["fmr_no_interval"], "fewer than two groups") and gap(found)["fnmr_interval"]
    assert gap({})["fnmr"] is gap({})["fnmr_interval"] is None


def drawn_pairs(rng, people=80, rate=0.3):
    """Errors of mated pairs, 4 of each person, whose people differ in how easy they are; the true rate is ``rate``."""
    easy = rng.normal(0, 1, people)
    errors = easy[:, None] + rng.normal(0, 1, (people, 4)) < np.sqrt(2) * stats.norm.ppf(rate)
    return errors.mean(), (errors - errors.mean()).sum(1) / errors.size


def of_group(rate, sums, first, number):
    of_person = np.zeros(number)
    of_person[first : first + len(sums)] = sums
    return GroupRate(rate, float(np.square(sums).sum()) * len(sums) / (len(sums) - 1), len(sums), of_person)


@pytest.mark.parametrize(
    ("truths", "bounds"), [((0.1, 0.3), (180, 198)), ((0.2, 0.2), (180, 200)), ((0.1, 0.2, 0.3), (184, 200))]
)
def test_the_interval_of_a_gap_contains_the_true_one_as_often_as_it_says(truths, bounds):
    rng, hits = np.random.default_rng(5), []
    for _ in range(200):
        groups = [of_group(*drawn_pairs(rng, rate=rate), 80 * k, 240) for k, rate in enumerate(truths)]
        low, high = gap_interval(groups)
        hits.append(low <= max(truths) - min(truths) + 1e-9 <= high + 2e-9)
    assert bounds[0] <= sum(hits) <= bounds[1]


def test_people_in_both_groups_make_a_gap_more_certain():
    rate, sums = drawn_pairs(np.random.default_rng(6))
    apart = gap_interval([of_group(rate, sums, 0, 160), of_group(rate, sums, 80, 160)])
    together = gap_interval([of_group(rate, sums, 0, 160), of_group(rate, sums, 0, 160)])
    assert together.high < 0.4 * apart.high


def test_groups_that_share_people_have_no_interval_for_the_gap_of_their_fmr():
    pairs, _ = compared(3)
    step = operating_point(pairs, 0.1).step
    found = gap(rates_by_group(pairs, ["a" if image % 2 else "b" for image in range(50)], step))
    assert found["fmr"] is not None and found["fmr_interval"] is None
    assert says(found["fmr_no_interval"], "several groups") and len(found["fnmr_interval"]) == 2


def test_a_threshold_of_another_benchmark_has_the_rates_and_intervals_of_one_group_of_all():
    first, second = compared(1)[0], compared(2)[0]
    for row in applied_elsewhere({"first": first, "second": second}):
        theirs = second if row["applied_to"] == "second" else first
        step = round(row["cosine_threshold"] * all_pairs.STEPS)
        of_all = rates_by_group(theirs, ["all"] * 50, step)["all"]
        assert (row["fmr"], row["fnmr"]) == (pytest.approx(of_all.fmr.rate), pytest.approx(of_all.fnmr.rate))
        assert (row["fmr_interval"], row["fnmr_interval"]) == (list(of_all.fmr.interval), list(of_all.fnmr.interval))


def test_an_fmr_above_those_that_are_kept_has_no_interval():
    rng = np.random.default_rng(0)
    with mock.patch.object(all_pairs, "_WORTH_SORTING", 10):
        pairs = compare_all(rng.normal(size=(200, 4)), np.arange(200) // 2)
    rates, reason = rates_at(pairs, -all_pairs.STEPS // 2)
    assert rates.fmr is None and says(reason, "0.01", "kept") and rates.fnmr.interval
