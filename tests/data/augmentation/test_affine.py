"""Each transform against torchvision's, which takes one image and its parameters."""

import pytest
import torch
from says import refuses
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from facerec.data.augmentation.affine import Rotation, Scale, Shear, Translation

HEIGHT, WIDTH = 10, 16
RANDOM = torch.tensor([[0.0, 0.9], [0.2, 0.5], [0.5, 0.0], [0.9999, 0.3]])
NO_CHANGE = {"angle": 0.0, "translate": [0.0, 0.0], "scale": 1.0, "shear": [0.0, 0.0]}
# For numbers from 0 to 1: what torchvision calls the change, and its value.
CASES = {
    "rotation": (Rotation(20), lambda r: {"angle": (2 * r[0] - 1) * 20}),
    "shear": (Shear(30), lambda r: {"shear": [(2 * r[0] - 1) * 30, 0.0]}),
    "scale": (Scale(0.4), lambda r: {"scale": 1 + (2 * r[0] - 1) * 0.4}),
    "translation": (
        Translation(0.25),
        lambda r: {"translate": [(2 * r[0] - 1) * 0.25 * WIDTH, (2 * r[1] - 1) * 0.25 * HEIGHT]},
    ),
}


def faces() -> torch.Tensor:
    images = torch.rand(4, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return images.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", CASES)
def test_each_image_is_changed_as_torchvision_changes_it_alone(name):
    transform, parameters = CASES[name]
    images = faces()
    changed = transform(images, RANDOM[:, : transform.num_random])
    assert changed.is_contiguous(memory_format=torch.channels_last) and changed.dtype == torch.float32
    for image, random, result in zip(images, RANDOM.tolist(), changed, strict=True):
        change = {**NO_CHANGE, **parameters(random)}
        # torchvision fills with zeros, we with black, -1.
        expected = functional.affine(image + 1, **change, interpolation=InterpolationMode.BILINEAR) - 1
        torch.testing.assert_close(result, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_the_middle_of_the_range_changes_nothing(name):
    transform, _ = CASES[name]
    changed = transform(faces(), torch.full((4, transform.num_random), 0.5))
    torch.testing.assert_close(changed, faces(), atol=1e-5, rtol=0)


def test_what_comes_from_outside_is_black():
    white = torch.ones(1, 3, 8, 8)
    moved = Translation(0.25)(white, torch.tensor([[0.9999999, 0.5]]))  # two columns to the right
    assert moved[0, 0, 4].round(decimals=4).tolist() == [-1, -1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("kind", [Rotation, Shear, Scale, Translation])
def test_strength_multiplies_the_range(kind):
    random = torch.rand(4, kind.num_random, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(kind(0.2, strength=2)(faces(), random), kind(0.4)(faces(), random))


@pytest.mark.parametrize(
    ("kind", "value", "facts"),
    [
        (Rotation, -1, ("degrees", "at least 0", "-1")),
        (Shear, 90, ("degrees * strength", "below 90", "got 90")),
        (Scale, 1, ("spread * strength", "below 1", "got 1")),
        (Translation, float("nan"), ("share", "at least 0", "nan")),
        (Rotation, float("inf"), ("degrees", "at least 0", "inf")),
        (Rotation, "abc", ("degrees", "at least 0", "'abc'")),
    ],
)
def test_a_range_that_is_none_is_refused(kind, value, facts):
    with refuses(*facts):
        kind(value)


@pytest.mark.parametrize("kind", [Rotation, Shear, Scale, Translation])
@pytest.mark.parametrize("strength", [float("inf"), -1, "much"])
def test_a_strength_that_is_none_is_refused(kind, strength):
    with refuses("strength", "at least 0", repr(strength)):
        kind(strength=strength)


def test_numbers_whose_product_is_none_are_refused():
    with refuses("degrees * strength", "at least 0", "inf"):
        Rotation(1e200, 1e200)
