"""The crop against PIL's resize and crop, which the published code uses."""

import numpy as np
import pytest
import torch
from PIL import Image
from says import refuses

from facerec.data.augmentation.scale_crop import ScaleCrop

SIDE = 40


def smooth_image() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return np.array(Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def blocks() -> np.ndarray:
    return np.kron(np.random.default_rng(1).integers(0, 3, (8, 8)), np.ones((5, 5), int)).astype(np.uint8)


# With these sizes no pixel lies exactly between two of the mask.
@pytest.mark.parametrize(("width", "height", "left", "top"), [(48, 56, 3, 12), (56, 40, 16, 0), (40, 48, 0, 5)])
def test_image_and_mask_are_resized_and_cropped(width, height, left, top):
    image, mask = smooth_image(), blocks()
    factors = torch.tensor([[width, height]]) / SIDE
    room = torch.tensor([[width - SIDE, height - SIDE]]).clamp(min=1)
    random = torch.cat([torch.zeros(1, 1), (factors - 1) / 0.5, torch.tensor([[left, top]]) / room], dim=1)
    box = (left, top, left + SIDE, top + SIDE)

    images = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    changed = (ScaleCrop(1.0)(images, random)[0].permute(1, 2, 0) + 1) * 127.5
    expected = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR).crop(box)
    assert np.abs(changed.numpy() - np.asarray(expected, np.float32)).max() < 1

    moved = ScaleCrop(1.0).move_masks(torch.from_numpy(mask)[None], random)[0].numpy()
    expected = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST).crop(box)
    assert moved.dtype == np.uint8 and np.array_equal(moved, expected)


def test_half_of_the_images_stay_as_they_are():
    images = torch.rand(400, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    random = torch.rand(400, 5, generator=torch.Generator().manual_seed(1))
    same = (ScaleCrop()(images, random) - images).abs().amax((1, 2, 3)) < 1e-5
    assert torch.equal(same, random[:, 0] >= 0.5) and 150 < same.sum() < 250


def test_nothing_from_outside_is_in_the_crop():
    random = torch.rand(500, 5, generator=torch.Generator().manual_seed(2))
    assert ScaleCrop(1.0)(torch.ones(500, 3, 9, 9), random).min() > 1 - 1e-4


@pytest.mark.parametrize("settings", [{"probability": 1.5}, {"largest": 0.9}])
def test_another_setting_is_refused(settings):
    ((name, value),) = settings.items()
    with refuses(name, str(value)):
        ScaleCrop(**settings)
