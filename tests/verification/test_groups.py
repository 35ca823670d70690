"""Rates by group, against double loops over the images of a group."""

from itertools import combinations
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facerec.verification import all_pairs
from facerec.verification.all_pairs import compare_all
from facerec.verification.dependence import dependent_variance, named_people
from facerec.verification.groups import gap, rates_by_group
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
    assert gap({}) == {"fmr": None, "fnmr": None}
