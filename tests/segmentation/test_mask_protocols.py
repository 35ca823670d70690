"""The two protocols: what each does to a prediction, and what they do not share."""

import math

import numpy as np
import pytest
import torch
from says import refuses

from facerec.segmentation.mask_protocols import (
    PROTOCOLS,
    TVCONV,
    TVCONV_REFERENCE,
    predicted,
    probabilities_at,
    score,
    score_structures,
)
from facerec.segmentation.mask_scoring import dice, hausdorff, structures

SIZE = (40, 60)
both = pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=list(PROTOCOLS))


def ellipse(row, column, height, width, size=SIZE):
    rows, columns = np.mgrid[: size[0], : size[1]]
    return ((rows - row) / height) ** 2 + ((columns - column) / width) ** 2 <= 1


def mask():
    found = np.zeros(SIZE, np.uint8)
    found[ellipse(20, 30, 15, 14)] = 1
    found[ellipse(20, 28, 8, 7)] = 2
    return found


def prediction(cup=(20, 30, 7, 7), disc=(21, 30, 14, 14)):
    return np.stack([ellipse(*cup), ellipse(*disc)])


def test_the_published_protocol_is_the_published_codes():
    assert (TVCONV_REFERENCE.threshold, TVCONV_REFERENCE.clean_up, TVCONV_REFERENCE.smooth) == (0.75, True, 1)
    assert (TVCONV_REFERENCE.empty_distance, TVCONV_REFERENCE.best_epoch_on) == (100, "unseen")
    assert TVCONV_REFERENCE.columns == ("cup_dice", "disc_dice", "cup_hd95", "disc_hd95", "cdr_error")
    assert (TVCONV.threshold, TVCONV.clean_up, TVCONV.smooth) == (0.5, False, 0)
    assert (TVCONV.empty_distance, TVCONV.best_epoch_on) == (None, "held_out")
    assert TVCONV.columns == ("cup_dice", "disc_dice", "cup_hd", "disc_hd", "cdr_error")


@both
def test_a_score_is_that_of_each_structure(protocol):
    found = score_structures(prediction(), mask(), protocol)
    for name, one, truth in zip(("cup", "disc"), prediction(), structures(mask()), strict=True):
        assert getattr(found, f"{name}_dice") == dice(one, truth, protocol.smooth)
        assert getattr(found, f"{name}_hd") == hausdorff(one, truth)
        assert getattr(found, f"{name}_hd95") == hausdorff(one, truth, 95)
    # The heights: 15 of 29 rows are predicted, 17 of 31 are true.
    assert found.cdr_error == pytest.approx(17 / 31 - 15 / 29)
    assert found.mean_dice == (found.cup_dice + found.disc_dice) / 2
    assert not any((found.cup_empty, found.disc_empty, found.cup_absent, found.disc_absent))


@both
def test_the_truth_itself_is_perfect(protocol):
    found = score_structures(structures(mask()), mask(), protocol)
    assert found == (1, 1, 0, 0, 0, 0, 0, False, False, False, False)


@both
def test_a_pixel_is_predicted_above_the_threshold_and_not_at_it(protocol):
    probabilities = np.full((2, 1, 3), protocol.threshold, np.float32)
    probabilities[0, 0, 1] = np.nextafter(np.float32(protocol.threshold), np.float32(1))
    np.testing.assert_array_equal(predicted(probabilities, protocol), [[[False, True, False]], [[False] * 3]])


def test_only_the_reference_cleans_up():
    ragged = prediction()
    ragged[1, 20, 30] = ragged[0, 20, 30] = False  # a hole
    ragged[:, 0, 0] = True  # and what is far away
    probabilities = np.where(ragged, 0.9, 0.1).astype(np.float32)
    np.testing.assert_array_equal(predicted(probabilities, TVCONV), ragged)
    np.testing.assert_array_equal(predicted(probabilities, TVCONV_REFERENCE), prediction())
    honest, published = (score(probabilities, mask(), protocol) for protocol in (TVCONV, TVCONV_REFERENCE))
    assert honest.disc_hd > 15 > 5 > published.disc_hd
    assert published == score_structures(prediction(), mask(), TVCONV_REFERENCE)


def test_a_missed_structure_is_as_far_as_the_protocol_says_and_is_counted():
    no_cup = prediction() * np.array([False, True])[:, None, None]
    honest, published = (score_structures(no_cup, mask(), protocol) for protocol in (TVCONV, TVCONV_REFERENCE))
    assert (honest.cup_dice, honest.cup_hd, honest.cup_hd95) == (0, math.hypot(*SIZE), math.hypot(*SIZE))
    assert honest.disc_hd < 5 and (honest.cup_empty, honest.disc_empty) == (True, False)
    assert honest.cdr_error == 17 / 31
    # The published code loses the disc with the cup.
    assert (published.cup_hd95, published.disc_hd95) == (100, 100) and published.disc_dice > 0.9
    no_disc = score_structures(prediction() * np.array([True, False])[:, None, None], mask(), TVCONV_REFERENCE)
    assert (no_disc.disc_hd95, no_disc.disc_empty) == (100, True) and no_disc.cup_hd95 < 5


@both
def test_an_image_without_a_cup_is_right_if_none_is_predicted(protocol):
    truth = np.minimum(mask(), 1)
    none, some = (score_structures(found, truth, protocol) for found in (structures(truth), prediction()))
    assert (none.cup_dice, none.cup_hd, none.cdr_error, none.cup_absent, none.cup_empty) == (1, 0, 0, True, True)
    assert none.disc_hd == 0
    assert some.cup_dice < 0.01 and some.cup_hd == (protocol.empty_distance or math.hypot(*SIZE))
    assert some.cdr_error == pytest.approx(15 / 29) and some.cup_absent and not some.cup_empty


@pytest.mark.parametrize("size", [(7, 9), (14, 18), (33, 20)])
def test_logits_are_interpolated_as_pytorch_does_and_the_sigmoid_comes_last(size):
    logits = torch.randn(2, 7, 9, generator=torch.Generator().manual_seed(0)) * 5
    expected = torch.nn.functional.interpolate(logits[None], size, mode="bilinear", align_corners=False)[0].sigmoid()
    found = probabilities_at(logits.numpy(), size)
    assert found.dtype == np.float32 and found.shape == (2, *size)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_certain_logits_overflow_nowhere():
    np.testing.assert_array_equal(probabilities_at(np.array([[[-1e4]], [[1e4]]]), (1, 1)).ravel(), [0, 1])


def test_probabilities_of_another_size_are_refused():
    with refuses("(30, 60)", "(40, 60)"):
        score(np.zeros((2, 30, 60), np.float32), mask(), TVCONV)
