"""Each image against torchvision's erase, which takes one image and its rectangle."""

import pytest
import torch
from says import refuses
from torchvision.transforms.v2 import functional

from facerec.data.augmentation.erasing import Erasing

SIZE = torch.Size((20, 30))
RANDOM = torch.rand(500, 5, generator=torch.Generator().manual_seed(0))


def test_each_image_loses_its_own_rectangle():
    images = torch.rand(500, 3, *SIZE)
    erasing = Erasing(value=-0.5)
    erased = erasing(images, RANDOM)
    rectangles = erasing.rectangles(SIZE, RANDOM).tolist()
    for image, (top, left, height, width), result in zip(images, rectangles, erased, strict=True):
        expected = functional.erase(image, top, left, height, width, torch.tensor(-0.5)) if height else image
        assert torch.equal(result, expected)
    assert len({tuple(rectangle) for rectangle in rectangles}) > 200


def test_rectangles_are_as_often_as_large_and_as_long_as_asked_and_within_the_image():
    top, left, height, width = Erasing(0.3, (0.1, 0.2), (0.5, 2.0)).rectangles(SIZE, RANDOM).unbind(1)
    is_erased = height > 0
    assert 0.24 < is_erased.float().mean() < 0.36
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= SIZE[0]).all() and (left + width <= SIZE[1]).all()
    share = (height * width)[is_erased] / (20 * 30)
    assert share.min() > 0.08 and share.max() < 0.23  # sides are whole pixels
    ratio = (height / width)[is_erased]
    assert ratio.min() > 0.4 and ratio.max() < 2.4 and 0.4 < (ratio > 1).float().mean() < 0.6


def test_every_row_and_column_can_be_erased():
    erased = (Erasing(1.0)(torch.ones(500, 3, *SIZE), RANDOM)[:, 0] == 0).any(0)
    assert erased.any(0).all() and erased.any(1).all()


def test_memory_stays_channels_last():
    images = torch.rand(500, 3, *SIZE).contiguous(memory_format=torch.channels_last)
    assert Erasing()(images, RANDOM).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"probability": 1.5}, ("probability", "0 to 1", "1.5")),
        ({"area": (0.5, 0.2)}, ("area", "0 to 1", "(0.5, 0.2)")),
        ({"ratio": (0, 2)}, ("ratio", "above 0", "(0, 2)")),
        ({"area": [0.1]}, ("area", "0 to 1", "[0.1]")),
        ({"area": 0.1}, ("area", "0 to 1", "0.1")),
        ({"area": [0.1, 0.2, 0.3]}, ("area", "0 to 1", "[0.1, 0.2, 0.3]")),
        ({"area": ["a", "b"]}, ("area", "0 to 1", "['a', 'b']")),
        ({"ratio": [1, float("inf")]}, ("ratio", "above 0", "[1, inf]")),
        ({"value": "black"}, ("value", "-1 to 1", "'black'")),
        ({"value": 7}, ("value", "-1 to 1", "7")),
    ],
)
def test_settings_that_are_none_are_refused(settings, facts):
    with refuses(*facts):
        Erasing(**settings)
