"""What follows from the definition of TVConv, and its arguments. The generator is in test_weight_generator.py."""

import inspect
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from random_weights import randomise

from facerec.operators.tvconv import TVConv

YAML = Path(__file__).parents[2] / "configs" / "operator" / "tvconv.yaml"


def tvconv(channels=3, stride=1, out_size=(13, 14), seed=0, **arguments) -> TVConv:
    torch.manual_seed(seed)
    return TVConv(channels, stride, out_size, **{"generator_channels": 8, **arguments})


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def is_constant(weight):
    """The weights (T, H, W, C) are the same at each position."""
    return torch.allclose(weight, weight[:, :1, :1].expand_as(weight), rtol=1e-4, atol=1e-5)


def filters(weight):
    """The weights at the middle of the map as the filters (C, 1, k, k) of a depthwise convolution."""
    taps, height, width, channels = weight.shape
    kernel = int(taps**0.5)
    return weight[:, height // 2, width // 2].T.reshape(channels, 1, kernel, kernel)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_output_is_the_unfolded_input_times_the_weights_plus_the_bias(kernel_size, stride):
    size = (5, 4)
    out_size = (-(-5 // stride), 4 // stride)
    module = randomise(tvconv(3, stride, out_size, kernel_size=kernel_size, bias=True))
    x = noise(2, 3, *size)
    columns = F.unfold(x, kernel_size, padding=kernel_size // 2, stride=stride)
    products = columns.view(2, 3, kernel_size**2, *out_size) * module.weight().permute(3, 0, 1, 2)
    expected = products.sum(2) + module.bias().permute(2, 0, 1)
    torch.testing.assert_close(module(x), expected, check_stride=False)


# What follows from the definition.


@pytest.mark.parametrize(("layers", "generator_kernel_size"), [(0, 3), (1, 3), (3, 3), (0, 5), (3, 1)])
def test_constant_maps_give_constant_weights_as_far_inside_as_the_generators_zero_padding_does_not_reach(
    layers, generator_kernel_size
):
    module = tvconv(generator_layers=layers, generator_kernel_size=generator_kernel_size)
    reach = (layers + 2) * (generator_kernel_size // 2)
    weight = module.weight()
    assert is_constant(weight[:, reach : 13 - reach, reach : 14 - reach])
    if reach:
        assert not is_constant(weight[:, reach - 1 : 13 - reach, reach : 14 - reach])
        assert not is_constant(weight[:, reach : 13 - reach, reach : 15 - reach])


@pytest.mark.parametrize("stride", [1, 2])
def test_at_the_start_it_is_a_depthwise_convolution_inside_and_not_at_the_border(stride):
    module = tvconv(3, stride)
    x = noise(2, 3, 13 * stride, 14 * stride)
    out, expected = module(x), F.conv2d(x, filters(module.weight()), stride=stride, padding=1, groups=3)
    inside = (..., slice(5, -5), slice(5, -5))
    torch.testing.assert_close(out[inside], expected[inside], rtol=1e-4, atol=1e-4, check_stride=False)
    assert (out - expected)[..., 0, :].abs().max() > 0.1


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("knob", [{"generator_padding": "replicate"}, {"generator_kernel_size": 1}], ids=str)
def test_without_zero_padding_in_the_generator_it_starts_as_a_depthwise_convolution_border_included(knob, stride):
    module = tvconv(3, stride, (6, 5), **knob)
    x = noise(2, 3, 6 * stride, 5 * stride)
    assert is_constant(module.weight())
    expected = F.conv2d(x, filters(module.weight()), stride=stride, padding=1, groups=3)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-4, check_stride=False)


def test_a_scale_of_its_own_at_each_position_makes_weights_vary_even_where_the_maps_do_not():
    def after_noise_in_the_normalisation(affine):
        module = tvconv(out_size=(6, 6), generator_padding="replicate", generator_affine=affine)
        for name, parameter in module.weight_generator.named_parameters():
            if parameter.ndim != 4:
                parameter.data += 0.1 * noise(*parameter.shape, seed=len(name))
        return module.weight()

    assert not is_constant(after_noise_in_the_normalisation("full"))
    assert is_constant(after_noise_in_the_normalisation("channel"))


def test_weights_vary_with_the_position_once_the_maps_do():
    module = tvconv(generator_padding="replicate")
    module.affinity_maps.data += noise(*module.affinity_maps.shape)
    assert not is_constant(module.weight())


@pytest.mark.parametrize("scale", [0.5, 5.0])
def test_the_scale_of_the_maps_does_not_matter_and_their_sign_does(scale):
    one, scaled, negative = (tvconv(map_init=start).weight() for start in (1.0, scale, -1.0))
    torch.testing.assert_close(scaled, one, rtol=1e-3, atol=1e-3 * one.std().item())
    assert not torch.allclose(negative, one, atol=0.1 * one.std().item())


def test_shifting_the_input_does_not_just_shift_the_output():
    varying, constant = randomise(tvconv(out_size=(8, 8))), tvconv(out_size=(8, 8), generator_padding="replicate")
    x = noise(1, 3, 8, 8)

    def inside(images):
        return images[..., 2:-2, 2:-2]

    for module, is_equivariant in [(varying, False), (constant, True)]:
        shifted_before, shifted_after = module(x.roll(1, -1)), module(x).roll(1, -1)
        assert torch.allclose(inside(shifted_before), inside(shifted_after), atol=1e-4) is is_equivariant


@pytest.mark.parametrize("stride", [1, 2])
def test_it_is_linear_in_the_input(stride):
    module = randomise(tvconv(3, stride, (4, 3)))
    x, y = noise(2, 3, 4 * stride, 3 * stride, seed=1), noise(2, 3, 4 * stride, 3 * stride, seed=2)
    torch.testing.assert_close(module(2 * x - 3 * y), 2 * module(x) - 3 * module(y), rtol=1e-4, atol=1e-4)


def test_gradient_reaches_the_maps_at_the_start():
    module = tvconv(generator_channels=64)
    module(noise(2, 3, 13, 14)).square().sum().backward()
    assert module.affinity_maps.grad is not None
    assert (module.affinity_maps.grad.abs().amax(dim=(0, 2, 3)) > 0).all()


# Its arguments.


def test_parameters_of_the_published_defaults():
    """c_A h w + 9 c_A c_I + 9 L c_I^2 + 81 c_I C + 2 (L + 1) c_I h w with c_A = 4, c_I = 64, L = 3."""
    module = TVConv(48, 2, (12, 12))
    expected = 4 * 144 + 9 * 4 * 64 + 9 * 3 * 64**2 + 81 * 64 * 48 + 2 * 4 * 64 * 144
    assert sum(parameter.numel() for parameter in module.parameters()) == expected


def test_the_file_states_the_defaults_of_the_constructor():
    stated = {key: value for key, value in OmegaConf.load(YAML).items() if key[0] != "_"}
    parameters = inspect.signature(TVConv).parameters.values()
    assert stated == {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def test_maps_start_at_the_constant_and_are_bound_to_the_output_size():
    module = tvconv(3, 2, (4, 5), affinity_channels=6, map_init=0.25)
    assert torch.equal(module.affinity_maps, torch.full((1, 6, 4, 5), 0.25))
    with pytest.raises(ValueError, match="needs weights for 3 channels at 5x5, got 3 at 4x5: build the network for"):
        module(torch.zeros(1, 3, 9, 9))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"kernel_size": 4}, "kernel_size must be odd, got 4"),
        ({"generator_kernel_size": 2}, "generator_kernel_size must be odd, got 2"),
        (
            {"map_init": 0},
            "map_init must not be 0: affinity maps of zeros give zero weights and zero gradients for ever; use 1.0",
        ),
        ({"affinity_channels": 0}, "affinity_channels must be a whole number of at least 1, got 0"),
        ({"affinity_channels": 2.5}, "affinity_channels must be a whole number of at least 1, got 2.5"),
        ({"generator_channels": -8}, "generator_channels must be a whole number of at least 1, got -8"),
        ({"generator_channels": "abc"}, "generator_channels must be a whole number of at least 1, got 'abc'"),
        ({"generator_layers": -1}, "generator_layers must be a whole number of at least 0, got -1"),
        (
            {"generator_norm": "group"},
            "generator_norm must be 'layer', 'instance', 'batch' or 'none', got 'group'",
        ),
        ({"generator_affine": "yes"}, "generator_affine must be 'full', 'channel' or 'none', got 'yes'"),
        ({"generator_padding": "reflect"}, "generator_padding must be 'zeros' or 'replicate', got 'reflect'"),
    ],
    ids=str,
)
def test_an_argument_out_of_its_values_is_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(ValueError) as refusal:
        tvconv(**arguments)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    "arguments",
    [{"generator_layers": 1.5}, {"kernel_size": "abc"}, {"kernel_size": 2.5}, {"kernel_size": -1}],
    ids=str,
)
def test_a_count_that_is_not_whole_is_refused_by_name(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} must be"):
        tvconv(**arguments)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_full_scale_of_a_norm_over_positions_is_one_a_channel(norm):
    full, channel = (tvconv(generator_norm=norm, generator_affine=affine) for affine in ("full", "channel"))
    assert [p.shape for p in full.parameters()] == [p.shape for p in channel.parameters()]


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
    ("arguments", "sentence"),
    [
        ({"map_init": "mean"}, "map_init must be a finite number other than 0, or \"data\", got 'mean'"),
        ({"map_init": float("nan")}, 'map_init must be a finite number other than 0, or "data", got nan'),
        ({"map_init": True}, 'map_init must be a finite number other than 0, or "data", got True'),
        ({"map_init": None}, 'map_init must be a finite number other than 0, or "data", got None'),
        ({"map_weight_decay": "maybe"}, "map_weight_decay must be true or false, got 'maybe'"),
        (
            {"generator_norm": "instance", "out_size": (1, 1)},
            "generator_norm=instance needs maps of more than one position: use layer or larger images",
        ),
        (
            {"generator_norm": "batch", "generator_padding": "replicate"},
            "generator_norm=batch takes all out of maps that are constant up to the border (generator_padding="
            "replicate, generator_kernel_size=3), and no gradient comes back: use map_init=data",
        ),
        ({"map_init": "data", "affinity_channels": 9}, "affinity_channels must be at most 8 with map_init=data, got 9"),
    ],
    ids=str,
)
def test_maps_that_cannot_start_are_refused(arguments, sentence):
    with pytest.raises(ValueError) as refusal:
        tvconv(**arguments)
    assert str(refusal.value) == sentence


def test_maps_alone_are_exempted_from_weight_decay_and_only_on_request():
    assert tvconv().without_weight_decay() == []
    module = tvconv(map_weight_decay=False)
    (exempt,) = module.without_weight_decay()
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
