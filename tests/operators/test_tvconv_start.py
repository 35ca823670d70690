"""From where TVConv starts: constant maps or those of the training images, and a given depthwise convolution."""

import pytest
import torch
import torch.nn.functional as F
from says import refuses

from facerec.operators.tvconv import TVConv


def tvconv(channels=3, stride=1, out_size=(13, 14), seed=0, **arguments) -> TVConv:
    torch.manual_seed(seed)
    return TVConv(channels, stride, out_size, **{"generator_channels": 8, **arguments})


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def is_constant(weight):
    """The weights (T, H, W, C) are the same at each position."""
    return torch.allclose(weight, weight[:, :1, :1].expand_as(weight), rtol=1e-4, atol=1e-5)


# Where the maps come from.


def statistics(height=26, width=28):
    """A mean that rises from left to right in red, from top to bottom in the others; a deviation of noise."""
    mean = torch.stack(
        [torch.arange(width).expand(height, width), *[torch.arange(height)[:, None].expand(-1, width)] * 2]
    )
    return torch.stack([mean / 10, noise(3, height, width).abs()])


def test_maps_from_data_are_the_mean_and_the_deviation_of_all_colours_then_of_each():
    module = tvconv(map_init="data", affinity_channels=8)
    assert (module.affinity_maps == 1).all()
    module.initialise_maps(given := statistics())
    expected = [*given.mean(1), *given.transpose(0, 1).reshape(6, 26, 28)]
    for found, image in zip(module.affinity_maps[0], expected, strict=True):
        torch.testing.assert_close(found.mean(), torch.ones(()))
        torch.testing.assert_close(found.std(correction=0), torch.ones(()))
        halved = image.unfold(0, 2, 2).unfold(1, 2, 2).mean((2, 3))
        assert torch.corrcoef(torch.stack([found.flatten(), halved.flatten()]))[0, 1] > 0.85  # another filter
    red, green = module.affinity_maps[0, 2], module.affinity_maps[0, 4]
    assert (red.diff(dim=1) > 0).all() and red.diff(dim=0).abs().max() < 1e-4
    assert (green.diff(dim=0) > 0).all() and green.diff(dim=1).abs().max() < 1e-4


def test_an_image_without_any_contrast_gives_the_constant_map():
    module = tvconv(map_init="data", affinity_channels=1)
    module.initialise_maps(torch.full((2, 3, 26, 28), 0.3))
    torch.testing.assert_close(module.affinity_maps.detach(), torch.ones(1, 1, 13, 14))


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"map_init": "mean"}, ("map_init", "finite", "0", "data", "mean")),
        ({"map_init": float("nan")}, ("map_init", "finite", "0", "data", "nan")),
        ({"map_init": True}, ("map_init", "data", "True")),
        ({"map_init": None}, ("map_init", "data", "None")),
        ({"map_weight_decay": "maybe"}, ("map_weight_decay", "maybe")),
        (
            {"generator_norm": "instance", "out_size": (1, 1)},
            ("generator_norm=instance", "position", "layer"),
        ),
        (
            {"generator_norm": "instance", "out_size": (2, 2), "generator_stride": 2, "map_init": "data"},
            ("generator_norm=instance", "position", "layer"),
        ),
        (
            {"generator_norm": "batch", "generator_padding": "replicate"},
            ("generator_norm=batch", "generator_padding=replicate", "generator_kernel_size=3", "map_init=data"),
        ),
        ({"map_init": "data", "affinity_channels": 9}, ("affinity_channels", "8", "map_init=data", "9")),
    ],
    ids=str,
)
def test_maps_that_cannot_start_are_refused(arguments, facts):
    with refuses(*facts):
        tvconv(**arguments)


def test_maps_alone_are_exempted_from_weight_decay_and_only_on_request():
    assert tvconv().no_weight_decay() == []
    module = tvconv(map_weight_decay=False)
    (exempt,) = module.no_weight_decay()
    assert exempt is module.affinity_maps


# Starting as a depthwise convolution.


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("arguments", [{}, {"map_init": -2.0}, {"generator_layers": 0}, {"kernel_size": 5}], ids=str)
def test_it_starts_as_a_given_depthwise_convolution(arguments, stride):
    kernel_size = arguments.get("kernel_size", 3)
    weight, x = noise(3, 1, kernel_size, kernel_size, seed=1), noise(2, 3, 13 * stride, 14 * stride)
    expected = F.conv2d(x, weight, stride=stride, padding=kernel_size // 2, groups=3)
    module = tvconv(stride=stride, generator_padding="replicate", **arguments)
    module.start_from(weight)
    torch.testing.assert_close(module(x), expected, check_stride=False, rtol=1e-4, atol=1e-4)
    inside = tvconv(stride=stride, **arguments)
    inside.start_from(weight)
    middle = (..., slice(5, -5), slice(5, -5))
    torch.testing.assert_close(inside(x)[middle], expected[middle], check_stride=False, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(inside(x), expected, atol=1e-2)


@pytest.mark.parametrize("norm", ["layer", "instance"])
def test_maps_that_are_initialised_after_the_start_keep_it_at_the_middle(norm):
    weight = noise(3, 1, 3, 3, seed=1)
    module = tvconv(map_init="data", affinity_channels=2, generator_norm=norm, generator_padding="replicate")
    module.start_from(weight)
    module.initialise_maps(statistics())
    middle = module.weight()[:, 13 // 2, 14 // 2].T.reshape(3, 1, 3, 3)
    torch.testing.assert_close(middle, weight, rtol=1e-4, atol=1e-5)
    assert not is_constant(module.weight())


def test_a_start_without_the_bias_generators_offsets():
    module, x = tvconv(bias=True, generator_padding="replicate"), noise(2, 3, 13, 14)
    module.start_from(weight := noise(3, 1, 3, 3, seed=1))
    torch.testing.assert_close(
        module(x), F.conv2d(x, weight, padding=1, groups=3), check_stride=False, atol=1e-4, rtol=1e-4
    )
