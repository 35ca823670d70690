"""Each image against two calls of torchvision's resize, which takes one image and one size."""

import pytest
import torch
from says import refuses
from torchvision.transforms.v2 import functional

from facerec.data.augmentation.low_resolution import LowResolution

HEIGHT, WIDTH = 24, 32


def test_each_image_goes_down_and_up_as_torchvision_takes_it_alone():
    images = torch.rand(6, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0)) * 2 - 1
    random = torch.tensor([[0.0, 0.0], [0.3, 0.2], [0.2, 0.5], [0.1, 0.77], [0.4, 0.9999], [0.6, 0.1]])
    changed = LowResolution(probability=0.5, smallest=0.25)(images, random)
    assert changed.is_contiguous(memory_format=torch.channels_last)
    for image, (coin, number), result in zip(images, random.tolist(), changed, strict=True):
        share = 0.25 + number * 0.75 if coin < 0.5 else 1.0
        small = functional.resize(image, [round(share * HEIGHT), round(share * WIDTH)], antialias=True)
        torch.testing.assert_close(result, functional.resize(small, [HEIGHT, WIDTH]), atol=1e-5, rtol=0)
    torch.testing.assert_close(changed[5], images[5])


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"probability": -0.1}, ("probability", "0 to 1", "-0.1")),
        ({"smallest": 0}, ("smallest", "above 0", "got 0")),
    ],
)
def test_settings_that_are_none_are_refused(settings, facts):
    with refuses(*facts):
        LowResolution(**settings)
