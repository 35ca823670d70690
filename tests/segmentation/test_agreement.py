"""How far two networks predict the same."""

import numpy as np
import pytest
from says import refuses

from facerec.segmentation.agreement import agreement


def predictions():
    found = np.zeros((3, 2, 10, 20), bool)
    found[:, 0, 3:6, 5:10] = found[:, 1, 2:8, 4:14] = True
    return found


def test_equal_predictions_agree_wholly():
    assert agreement(predictions(), predictions()) == (1, 1, 1)
    nothing = np.zeros((1, 2, 4, 4), bool)
    assert agreement(nothing, nothing) == (1, 1, 1)


def test_pixels_and_structures_count_as_by_hand():
    other = predictions()
    other[1, 0, 3, 5:8] = False  # three pixels of a cup
    other[1, 1, 3, 5] = other[2, 1, 2, 4] = False  # one of a disc at one of these, another elsewhere
    found = agreement(predictions(), other)
    assert found.equal_pixels == pytest.approx(1 - 4 / 600)
    assert found.least_equal_pixels == pytest.approx(1 - 3 / 200)
    # Of 45 pixels of cups 42 are in common, and of 180 of discs 178.
    assert found.dice == pytest.approx(min(2 * 42 / (45 + 42), 2 * 178 / (180 + 178)))


@pytest.mark.parametrize("shape", [(3, 2, 10, 10), (2, 10, 20)])
def test_other_shapes_are_refused(shape):
    with refuses("(3, 2, 10, 20)", str(shape)):
        agreement(predictions(), np.zeros(shape, bool))
