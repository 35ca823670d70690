import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from says import refuses
from scipy.special import logit

from facerec.errors import InputError
from facerec.frontal.scoring import least_of_share, select

PROBABILITIES = np.array([0.9, 0.8, 0.2, 0.7, np.nan, 0.6, 0.1], np.float32)
LOGITS = logit(PROBABILITIES.astype(np.float64))
LABELS = np.array([0, 0, 0, 1, 1, 2, 2])


def test_a_threshold_keeps_what_is_at_or_above_it():
    found = select(LOGITS, LABELS, threshold=0.75, keep=None, min_images=1)
    assert found.is_kept.tolist() == [1, 1, 0, 0, 0, 0, 0]


def test_a_share_keeps_the_most_probable_of_the_readable_images():
    found = select(LOGITS, LABELS, threshold=None, keep=0.5, min_images=1)
    assert found.threshold == pytest.approx(logit(0.7)) and found.is_kept.tolist() == [1, 1, 0, 1, 0, 0, 0]


def test_an_identity_with_too_few_left_is_left_out():
    found = select(LOGITS, LABELS, threshold=None, keep=0.5, min_images=2)
    assert found.is_frontal.sum() == 3 and found.is_kept.tolist() == [1, 1, 0, 0, 0, 0, 0]


def test_nothing_left_is_refused():
    with refuses("3 images", "0.7900", "lower", error=InputError):
        select(LOGITS, LABELS, threshold=0.79, keep=None, min_images=3)


def test_nothing_readable_is_refused():
    with refuses("no image", "read", error=InputError):
        select(np.full(3, np.nan), LABELS[:3], threshold=None, keep=0.5, min_images=1)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.floats(0.01, 1))
def test_the_share_is_kept_and_only_ties_are_more(values, keep):
    probabilities = np.array(values) / 20
    wanted = max(1, round(keep * len(values)))
    kept = probabilities >= least_of_share(probabilities, keep)
    ordered = sorted(values, reverse=True)
    assert kept.sum() == sum(value >= ordered[wanted - 1] for value in values) >= wanted
