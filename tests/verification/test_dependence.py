"""The variance of sums over pairs, against a double loop over pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.verification.dependence import connected_people, dependent_variance, named_people


def by_hand(terms, one, other):
    """Add the products of all two pairs that share a person, and correct for the number of people."""
    total = 0.0
    for i, here in enumerate(terms):
        for j, there in enumerate(terms):
            if {one[i], other[i]} & {one[j], other[j]}:
                total += here * there
    number = len({*one, *other})
    return max(total, sum(term**2 for term in terms)) * number / max(number - 1, 1)


PAIR = st.tuples(st.integers(0, 4), st.integers(0, 4), st.floats(-3, 3, allow_nan=False))


@given(st.lists(PAIR, min_size=1, max_size=25))
def test_the_variance_is_the_double_sum_over_pairs_that_share_a_person(pairs):
    one, other, terms = map(np.array, zip(*pairs, strict=True))
    found = dependent_variance(terms, named_people(one, other))
    assert found == pytest.approx(by_hand(terms.tolist(), one.tolist(), other.tolist()), abs=1e-9)


def test_pairs_that_share_nobody_are_independent():
    terms, people = np.arange(1.0, 6), named_people(np.arange(5), np.arange(5, 10))
    assert dependent_variance(terms, people) == pytest.approx((1 + 4 + 9 + 16 + 25) * 10 / 9)


def test_one_persons_errors_add_up():
    people = named_people(np.zeros(4, int), np.arange(1, 5))
    assert dependent_variance(np.ones(4), people) == pytest.approx(16 * 5 / 4)


def test_images_that_same_person_pairs_connect_are_one_person():
    # Images 0, 1 and 2 are one person by two pairs, 5 and 6 another; 7 is in a different-person pair only.
    left, right = np.array([0, 1, 5, 0, 2]), np.array([1, 2, 6, 5, 7])
    people = connected_people(left, right, np.array([True, True, True, False, False]))
    assert not people.known and people.num_people == 3
    assert people.one[0] == people.other[0] == people.one[1] == people.other[1] == people.one[3] == people.one[4]
    assert people.one[2] == people.other[2] == people.other[3] != people.one[0]
    assert people.other[4] not in (people.one[0], people.one[2])
