import numpy as np
import pytest
from scipy.special import expit

from facerec.frontal.calibration import calibrate_across_folds, fit_calibration, reliability

RNG = np.random.default_rng(0)


def answers(count: int, share: float = 0.5):
    """Logits that are right: normal, ± 2, of variance 4, whose log odds are the value itself."""
    is_frontal = RNG.random(count) < share
    return RNG.normal(np.where(is_frontal, 2, -2), 2), is_frontal


def test_a_logit_that_was_stretched_and_moved_is_put_back():
    logits, is_frontal = answers(40_000)
    slope, offset = fit_calibration(3 * logits + 1, is_frontal)
    assert slope == pytest.approx(1 / 3, rel=0.05) and offset == pytest.approx(-1 / 3, abs=0.05)


def test_logits_that_hardly_differ_are_told_apart_too():
    logits, is_frontal = answers(40_000)
    slope, offset = fit_calibration(1e-6 * logits - 0.4, is_frontal)
    assert slope == pytest.approx(1e6, rel=0.05) and offset == pytest.approx(0.4e6, rel=0.05)


def test_equal_logits_say_nothing():
    slope, offset = fit_calibration(np.full(10, 3.0), np.arange(10) < 4)
    assert slope * 3.0 + offset == pytest.approx(0, abs=1e-3)


def test_the_number_of_images_of_a_pose_does_not_matter():
    logits, is_frontal = answers(40_000, share=0.9)
    slope, offset = fit_calibration(logits, is_frontal)
    assert slope == pytest.approx(1, rel=0.07) and offset == pytest.approx(0, abs=0.12)


def test_a_fold_is_calibrated_on_the_others_alone():
    logits, is_frontal = answers(300)
    folds = np.arange(300) % 3
    probabilities = calibrate_across_folds(logits, is_frontal, folds)
    slope, offset = fit_calibration(logits[folds != 1], is_frontal[folds != 1])
    assert np.allclose(probabilities[folds == 1], expit(slope * logits[folds == 1] + offset))


def test_right_probabilities_have_a_small_error_and_boastful_ones_a_large_one():
    logits, is_frontal = answers(40_000)
    assert reliability(expit(logits), is_frontal).error < 0.01
    assert reliability(expit(4 * logits), is_frontal).error > 0.05


def test_reliability_by_hand():
    # Two frontal and one profile image: a frontal one weighs a quarter, the profile one a half.
    found = reliability(np.array([0.9, 0.1, 0.2]), np.array([True, True, False]), bins=2)
    assert found.stated == pytest.approx([(0.25 * 0.1 + 0.5 * 0.2) / 0.75, 0.9])
    assert found.found == pytest.approx([0.25 / 0.75, 1.0])
    assert found.images.tolist() == [2, 1]
    assert found.error == pytest.approx(abs(0.125 - 0.25) + abs(0.225 - 0.25))
