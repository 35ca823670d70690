import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from says import refuses

from facerec.verification.roc import checked_is_same, equal_error_rate, roc_curve, tar_at_far, tar_at_fars

# Few distinct distances, so that ties are the rule.
pairs = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40).filter(
    lambda pairs: len({is_same for _, is_same in pairs}) == 2
)


def split(pairs):
    scores, is_same = zip(*pairs, strict=True)
    return np.array(scores, float), np.array(is_same)


def rates_by_counting(scores, is_same):
    """(FAR, TAR) at a threshold below, between and above all distances."""
    points = []
    for threshold in [*sorted(set(scores)), np.inf]:
        accepted = [score < threshold for score in scores]
        points.append((np.mean(np.array(accepted)[~is_same]), np.mean(np.array(accepted)[is_same])))
    return points


@settings(deadline=None)
@given(pairs, st.sampled_from([0.05, 0.1, 0.25, 1 / 3, 0.5, 0.7, 1.0]))
def test_tar_is_the_largest_of_any_threshold_whose_far_is_allowed(pairs, far):
    scores, is_same = split(pairs)
    if 1 / np.count_nonzero(~is_same) > far:
        with refuses("far", "pairs"):
            tar_at_far(scores, is_same, far)
    else:
        expected = max(tar for rate, tar in rates_by_counting(scores, is_same) if rate <= far)
        assert tar_at_far(scores, is_same, far) == expected


@settings(deadline=None)
@given(pairs)
def test_roc_rises_through_points_that_counting_finds(pairs):
    scores, is_same = split(pairs)
    fpr, tpr = roc_curve(scores, is_same)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert (np.diff(fpr) >= 0).all() and (np.diff(tpr) >= 0).all()
    assert set(zip(fpr, tpr, strict=True)) <= set(rates_by_counting(scores, is_same))


@settings(deadline=None)
@given(pairs)
def test_at_the_equal_error_rate_the_roc_accepts_and_rejects_falsely_alike(pairs):
    fpr, tpr = roc_curve(*split(pairs))
    eer = equal_error_rate(fpr, tpr)
    lower = np.flatnonzero(fpr <= 1 - tpr)[-1]  # the EER lies on the straight line from this point to the next
    along = np.linspace(0, 1, 10001)
    fars = fpr[lower] + along * (fpr[lower + 1] - fpr[lower])
    frrs = 1 - tpr[lower] - along * (tpr[lower + 1] - tpr[lower])
    assert eer == pytest.approx(fars[np.argmin(abs(fars - frrs))], abs=1e-3)


def test_equal_error_rate_by_hand():
    one_in_four_missed = roc_curve(np.array([1.0, 2, 3, 6, 4, 5, 7, 8]), np.arange(8) < 4)
    assert equal_error_rate(*one_in_four_missed) == 0.25
    tied_across_kinds = roc_curve(np.array([1.0, 2, 2, 3]), np.arange(4) < 2)  # fpr = x, tpr = 0.5 + x
    assert equal_error_rate(*tied_across_kinds) == 0.25


def test_tar_at_far_by_hand():
    scores = np.concatenate(([1, 3, 5, 7], np.arange(2, 22, 2)))  # same at 1, 3, 5, 7; different at 2, 4, ... 20
    is_same = np.arange(14) < 4
    assert tar_at_far(scores, is_same, 0.1) == 0.5  # 2 may be accepted: thresholds up to 4 take 1 and 3
    assert tar_at_far(scores, is_same, 0.19) == 0.5
    assert tar_at_far(scores, is_same, 0.2) == 0.75
    assert tar_at_far(scores, is_same, 1.0) == 1.0


def test_a_different_pair_as_close_as_a_same_pair_is_accepted_with_it():
    scores, is_same = np.array([2.0, 2, 2, 3]), np.array([True, False, False, False])
    assert tar_at_far(scores, is_same, 0.34) == 0  # accepting the one same pair accepts two different pairs, FAR 2/3
    assert tar_at_far(scores, is_same, 0.67) == 1


def test_ten_to_ten_thousand_different_pairs_resolve_one_more_far_each():
    for count, resolved in ((9, []), (10, [1e-1]), (999, [1e-1, 1e-2]), (1000, [1e-1, 1e-2, 1e-3]), (10000, 4)):
        scores, is_same = np.arange(count + 1.0), np.arange(count + 1) == 0
        tars, refused = tar_at_fars(scores, is_same)
        assert list(tars) == ([1e-1, 1e-2, 1e-3, 1e-4] if resolved == 4 else resolved)
        assert set(tars) | set(refused) == {1e-1, 1e-2, 1e-3, 1e-4} and not set(tars) & set(refused)


def test_tar_at_far_refuses_in_one_sentence():
    scores, is_same = np.arange(301.0), np.arange(301) == 0
    with refuses("FAR", "0.001", "300", "pairs", "0.0033", "1000"):
        tar_at_far(scores, is_same, 1e-3)
    with refuses("34", "pairs"):
        tar_at_far(np.arange(31.0), np.arange(31) == 0, 0.03)
    for far in (0, -0.1, 1.5, float("nan")):
        with refuses("far", str(far), "1e-3"):
            tar_at_far(scores, is_same, far)


@pytest.mark.parametrize(("scores", "got"), [([1.0, np.nan], "1 NaN"), ([[1.0, 2.0]], "(1, 2)")])
def test_scores_are_one_number_a_pair(scores, got):
    with refuses("scores", "NaN", got):
        tar_at_far(scores, [True, False], 0.5)


@pytest.mark.parametrize("flags", [[True, False], [1, 0], [1.0, 0.0], np.array([1, 0], np.uint8)])
def test_flags_are_booleans_or_zeros_and_ones(flags):
    assert checked_is_same(flags, 2).tolist() == [True, False]


@pytest.mark.parametrize(
    ("flags", "facts"),
    [
        ([1, -1, 1], ("is_same", "-1, 1", "flags > 0")),
        (
            [3, 1, 2, 0],
            ("is_same", "0, 1, 2, ...", "flags > 0"),
        ),
        (["1", "0"], ("is_same", "0, 1", "flags > 0")),
        ([True, True], ("is_same", "2 same-person pairs", "different-person")),
        ([0, 0], ("is_same", "2 different-person pairs", "same-person")),
        ([[1, 0]], ("is_same", "(1, 2)", "1 pairs")),
    ],
)
def test_other_flags_are_refused(flags, facts):
    with refuses(*facts):
        checked_is_same(flags, len(flags))
