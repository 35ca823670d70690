"""Each image against torchvision's functions, which take one image and one factor."""

import pytest
import torch
from says import refuses
from torchvision.transforms.v2 import functional

from facerec.data.augmentation.jitter import Jitter

RANDOM = torch.tensor([[0.0, 0.5, 0.5, 1.0], [0.5, 0.99, 0.5, 1.0], [0.5, 0.5, 0.0, 1.0], [0.9, 0.1, 0.8, 1.0]])


def colours() -> torch.Tensor:
    """With pure black and white, which the factors drive over the ends."""
    images = torch.rand(4, 3, 6, 7, generator=torch.Generator().manual_seed(0)) * 2 - 1
    images[:, :, 0], images[:, :, 1] = -1, 1
    return images.contiguous(memory_format=torch.channels_last)


def test_each_image_is_changed_as_torchvision_changes_it_alone():
    changed = Jitter(0.5, 0.8, 0.9, grey=0)(colours(), RANDOM)
    assert changed.is_contiguous(memory_format=torch.channels_last)
    for image, (brightness, contrast, saturation, _), result in zip(colours(), RANDOM.tolist(), changed, strict=True):
        expected = functional.adjust_brightness((image + 1) / 2, 1 + (2 * brightness - 1) * 0.5)
        expected = functional.adjust_contrast(expected, 1 + (2 * contrast - 1) * 0.8)
        expected = functional.adjust_saturation(expected, 1 + (2 * saturation - 1) * 0.9)
        torch.testing.assert_close(result, expected * 2 - 1, atol=1e-5, rtol=0)


def test_the_share_of_grey_images_is_as_asked():
    random = torch.cat((torch.full((1000, 3), 0.5), torch.rand(1000, 1)), dim=1)
    images = colours()[:1].expand(1000, 3, 6, 7)
    changed = Jitter(0, 0, 0, grey=0.25)(images, random)
    is_grey = (changed[:, 0] - changed[:, 1]).abs().amax((1, 2)) < 1e-6
    assert torch.equal(is_grey, random[:, 3] < 0.25)
    expected = functional.rgb_to_grayscale((images[0] + 1) / 2, num_output_channels=3) * 2 - 1
    torch.testing.assert_close(changed[is_grey][0], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(changed[~is_grey][0], images[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "grey"])
def test_a_range_beyond_1_is_refused(name):
    with refuses(name, "0 to 1", "1.2"):
        Jitter(**{name: 1.2})
