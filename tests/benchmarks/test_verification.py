"""The loop decides as the protocol that stands for it."""

import numpy as np
import pytest

from facerec.perf.timing import Effort
from facerec.perf.verification_speed import (
    cases,
    loop_over_images,
    loop_over_thresholds,
    random_images,
    random_pairs,
)
from facerec.verification.all_pairs import compare_all
from facerec.verification.match_rates import operating_points
from facerec.verification.verify import verify


@pytest.mark.parametrize(("pairs", "dim", "folds"), [(40, 8, 2), (33, 3, 3)])
def test_the_loop_and_the_protocol_have_the_same_accuracies(pairs, dim, folds):
    left, right, is_same = random_pairs(pairs, dim)
    looped = loop_over_thresholds(left, right, is_same, folds)
    np.testing.assert_array_equal(looped, verify(left, right, is_same, "tvconv_reference", folds).fold_accuracies)
    assert 0.5 < looped.mean() <= 1


def test_random_pairs_can_be_told_apart_but_not_always():
    left, right, is_same = random_pairs(2000, 4)
    distances = np.linalg.norm(left - right, axis=1)
    assert is_same.mean() == 0.5
    assert 0.55 < np.mean((distances < np.median(distances)) == is_same) < 0.95


def test_the_size_is_that_of_lfw_and_the_target_that_of_the_issue():
    case, all_pairs = cases(Effort())
    assert case.name == "6,000 pairs x 512, 10 folds"
    assert [goal.target for goal in case.goals] == [100, 100]
    assert all_pairs.name == "all 12,497,500 pairs of 5,000 images x 512"


def test_the_loop_over_images_and_all_pairs_have_the_same_rates():
    embeddings, person = random_images(40, 8)
    looped = loop_over_images(embeddings, person)
    points, _ = operating_points(compare_all(embeddings, person))
    assert looped == {key: pytest.approx(point.fnmr) for key, point in points.items()}
    assert list(looped) == ["1e-2", "1e-3", "1e-4"] and 0 < looped["1e-2"] < 1
