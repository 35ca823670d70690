"""The floor: a mask that is the same for all images."""

import numpy as np
import pytest
from says import refuses

from facerec.segmentation.constant_mask import constant_mask
from facerec.segmentation.mask_protocols import TVCONV, score_structures
from facerec.segmentation.mask_scoring import structures


def masks(number=9, size=(24, 30)):
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: size[0], : size[1]]
    for _ in range(number):
        row, column = size[0] / 2 + rng.normal(0, 2), size[1] / 2 + rng.normal(0, 2)
        far = np.hypot(rows - row, columns - column)
        yield (far < 10).astype(np.uint8) + (far < 5)


def test_a_pixel_is_what_it_is_in_more_than_half_of_the_masks():
    many = list(masks())
    found = constant_mask(iter(many), (24, 30))
    for row, column in np.ndindex(24, 30):
        here = [mask[row, column] for mask in many]
        expected = 2 if sum(value == 2 for value in here) > 4.5 else int(sum(value >= 1 for value in here) > 4.5)
        assert found[row, column] == expected
    assert found.dtype == np.uint8 and set(np.unique(found)) == {0, 1, 2}


def test_half_of_the_masks_are_not_enough():
    assert constant_mask([np.full((2, 2), 2, np.uint8), np.zeros((2, 2), np.uint8)], (2, 2)).tolist() == [
        [0, 0],
        [0, 0],
    ]


def test_masks_of_several_sizes_count_the_same_at_any_size():
    one = next(masks(1))
    larger = one.repeat(2, 0).repeat(2, 1)
    assert np.array_equal(constant_mask([larger], one.shape), one)
    assert np.array_equal(constant_mask([one, larger, larger], one.shape), one)
    grown = constant_mask([one], larger.shape)
    assert np.mean(grown == larger) > 0.97


def test_it_scores_below_the_truth_and_above_nothing():
    many = list(masks())
    floor = structures(constant_mask(many, (24, 30)))
    found = [score_structures(floor, mask, TVCONV) for mask in many]
    assert 0.6 < np.mean([one.cup_dice for one in found]) < np.mean([one.disc_dice for one in found]) < 0.95


@pytest.mark.parametrize("none", [[], iter(())])
def test_without_masks_there_is_none(none):
    with refuses("no masks", "training"):
        constant_mask(none, (4, 4))
