"""What follows from the definition of TVConv, and its arguments. The generator is in test_weight_generator.py."""

import inspect
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from random_weights import randomise
from says import refuses

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
    with refuses("3 channels at 5x5", "3 at 4x5", "image size"):
        module(torch.zeros(1, 3, 9, 9))


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"kernel_size": 4}, ("kernel_size", "odd", "4")),
        ({"generator_kernel_size": 2}, ("generator_kernel_size", "odd", "2")),
        (
            {"map_init": 0},
            ("map_init", "zeros", "weights", "1.0"),
        ),
        ({"affinity_channels": 0}, ("affinity_channels", "1", "0")),
        ({"affinity_channels": 2.5}, ("affinity_channels", "1", "2.5")),
        ({"generator_channels": -8}, ("generator_channels", "1", "-8")),
        ({"generator_channels": "abc"}, ("generator_channels", "1", "abc")),
        ({"generator_layers": -1}, ("generator_layers", "0", "-1")),
        (
            {"generator_norm": "group"},
            ("generator_norm", "layer", "instance", "batch", "none", "group"),
        ),
        ({"generator_affine": "yes"}, ("generator_affine", "full", "channel", "none", "yes")),
        ({"generator_padding": "reflect"}, ("generator_padding", "zeros", "replicate", "reflect")),
        ({"generator_stride": 3}, ("generator_stride", "1, 2", "3")),
        ({"generator_stride": True}, ("generator_stride", "1, 2", "True")),
    ],
    ids=str,
)
def test_an_argument_out_of_its_values_is_refused_in_a_sentence(arguments, facts):
    with refuses(*facts):
        tvconv(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"generator_layers": 1.5}, {"kernel_size": "abc"}, {"kernel_size": 2.5}, {"kernel_size": -1}],
    ids=str,
)
def test_a_count_that_is_not_whole_is_refused_by_name(arguments):
    with refuses(*map(str, next(iter(arguments.items())))):
        tvconv(**arguments)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_full_scale_of_a_norm_over_positions_is_one_a_channel(norm):
    full, channel = (tvconv(generator_norm=norm, generator_affine=affine) for affine in ("full", "channel"))
    assert [p.shape for p in full.parameters()] == [p.shape for p in channel.parameters()]
