"""The weight-generating block of TVConv, derived again layer by layer, and what each of its arguments changes."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from random_weights import randomise
from torch import nn

from facerec.operators.tvconv import TVConv

NORMS = [
    ("layer", "full"),
    ("layer", "channel"),
    ("layer", "none"),
    ("instance", "channel"),
    ("instance", "none"),
    ("batch", "channel"),
    ("batch", "none"),
    ("none", "none"),
]


def tvconv(channels=3, out_size=(5, 4), **arguments) -> TVConv:
    torch.manual_seed(0)
    return TVConv(channels, 1, out_size, **{"generator_channels": 8, **arguments})


def normalised(x, norm, affine, layer):
    axes = {"layer": (1, 2, 3), "instance": (2, 3), "batch": (0, 2, 3)}
    if norm != "none":
        x = (x - x.mean(axes[norm], keepdim=True)) / (x.var(axes[norm], unbiased=False, keepdim=True) + 1e-5).sqrt()
    if affine == "none":
        return x
    shape = x.shape[1:] if affine == "full" else (-1, 1, 1)
    return x * layer.weight.view(shape) + layer.bias.view(shape)


def interpolated(maps, size):
    """Bilinearly, between the middles of the pixels, each axis by a matrix."""
    matrices = []
    for length, small in zip(size, maps.shape[2:], strict=True):
        places = ((torch.arange(length) + 0.5) * small / length - 0.5).clamp(min=0)
        matrices.append((1 - (places[:, None] - torch.arange(small)).abs()).clamp(min=0))
        matrices[-1] /= matrices[-1].sum(1, keepdim=True)  # beyond the last middle
    return torch.einsum("hy,wx,bcyx->bchw", *matrices, maps)


def generated_by_hand(maps, generator, norm, affine, padding, stride=1):
    """Affinity maps (1, c_A, H, W) through convolution, normalisation, ReLU, ..., convolution."""
    convolutions = [layer for layer in generator if isinstance(layer, nn.Conv2d)]
    norms, size = list(generator)[1::3], maps.shape[2:]
    for index, conv in enumerate(convolutions):
        margin = conv.weight.shape[-1] // 2
        if index == len(convolutions) - 1:
            maps = interpolated(maps, size)
        maps = F.pad(maps, [margin] * 4, mode="constant" if padding == "zeros" else "replicate")
        maps = F.conv2d(maps, conv.weight)
        if index == 0:
            maps = maps[:, :, ::stride, ::stride]
        if index < len(convolutions) - 1:
            maps = normalised(maps, norm, affine, norms[index]).clamp(min=0)
    return maps[0]


@pytest.mark.parametrize("padding", ["zeros", "replicate"])
@pytest.mark.parametrize(("norm", "affine"), NORMS)
@pytest.mark.parametrize(
    ("kernel_size", "generator_kernel_size", "layers", "stride"),
    [(3, 3, 1, 1), (5, 1, 0, 1), (1, 5, 2, 1), (3, 3, 2, 2), (1, 5, 0, 2)],
)
def test_weights_are_the_generators_output_channel_by_channel_tap_by_tap(
    norm, affine, padding, kernel_size, generator_kernel_size, layers, stride
):
    module = randomise(
        tvconv(
            map_init="data",  # which every form of the generator takes
            kernel_size=kernel_size,
            bias=True,
            generator_layers=layers,
            generator_kernel_size=generator_kernel_size,
            generator_norm=norm,
            generator_affine=affine,
            generator_padding=padding,
            generator_stride=stride,
        )
    )
    by_hand = generated_by_hand(module.affinity_maps, module.weight_generator, norm, affine, padding, stride)
    weight, taps = module.weight(), kernel_size**2
    assert weight.shape == (taps, 5, 4, 3)
    for channel in range(3):
        for tap in range(taps):
            torch.testing.assert_close(weight[tap, :, :, channel], by_hand[channel * taps + tap], rtol=1e-4, atol=1e-5)
    offsets = generated_by_hand(module.affinity_maps, module.bias_generator, norm, affine, padding, stride)
    torch.testing.assert_close(module.bias().permute(2, 0, 1), offsets, rtol=1e-4, atol=1e-5)


def test_the_generator_starts_with_the_published_spread():
    """Kaiming normal, fan out: sqrt(2 / (9 * outgoing channels))."""
    module = tvconv(channels=8, generator_channels=64, generator_layers=1)
    convolutions = [layer for layer in module.weight_generator if isinstance(layer, nn.Conv2d)]
    for conv, outgoing in zip(convolutions, (64, 64, 72), strict=True):
        assert conv.weight.std().item() == pytest.approx((2 / (9 * outgoing)) ** 0.5, rel=0.05)


def test_a_layer_with_a_hook_is_called():
    module, seen = tvconv(), []
    expected = module.weight()
    for layer in module.weight_generator:
        layer.register_forward_hook(lambda layer, *_: seen.append(layer))
    torch.testing.assert_close(module.weight(), expected, rtol=1e-4, atol=1e-5)
    assert seen == list(module.weight_generator)


def test_hidden_layers_at_half_the_size_cost_a_quarter_and_the_last_as_much():
    """c_A c_I 9 + L c_I^2 9 at half the height and width, 81 c_I C at the whole."""
    module = TVConv(5, 1, (9, 12), generator_channels=8, generator_layers=2, generator_stride=2)
    assert module.count_macs_once() == 9 * (4 * 8 + 2 * 8 * 8) * 5 * 6 + 81 * 8 * 5 * 9 * 12
    assert module.weight_generator[1].weight.shape == (8, 5, 6)


def test_the_inference_form_of_a_generator_at_half_the_size_gives_the_same():
    module = randomise(tvconv(generator_stride=2, bias=True)).eval()
    x = torch.randn(2, 3, 5, 4)
    torch.testing.assert_close(module.inference_form()(x), module(x))


@settings(max_examples=40, deadline=None)
@given(
    channels=st.integers(1, 5),
    size=st.tuples(st.integers(2, 5), st.integers(2, 5)),
    affinity_channels=st.integers(1, 4),
    generator_channels=st.integers(1, 6),
    layers=st.integers(0, 3),
    kernel_size=st.sampled_from([1, 3, 5]),
    generator_kernel_size=st.sampled_from([1, 3]),
    normalisation=st.sampled_from(NORMS),
    bias=st.booleans(),
)
def test_parameters_are_as_many_as_the_formula_says(
    channels,
    size,
    affinity_channels,
    generator_channels,
    layers,
    kernel_size,
    generator_kernel_size,
    normalisation,
    bias,
):
    norm, affine = normalisation
    module = TVConv(
        channels,
        1,
        size,
        kernel_size=kernel_size,
        bias=bias,
        affinity_channels=affinity_channels,
        generator_channels=generator_channels,
        generator_layers=layers,
        generator_kernel_size=generator_kernel_size,
        generator_norm=norm,
        generator_affine=affine,
        map_init="data",
    )
    positions, taps = size[0] * size[1], generator_kernel_size**2
    learned = {"full": 2 * positions, "channel": 2, "none": 0}["none" if norm == "none" else affine]
    hidden = taps * (affinity_channels + layers * generator_channels) * generator_channels
    inner = hidden + (layers + 1) * learned * generator_channels
    outputs = [kernel_size**2 * channels] + [channels] * bias
    expected = affinity_channels * positions + sum(inner + taps * generator_channels * count for count in outputs)
    assert sum(parameter.numel() for parameter in module.parameters()) == expected
    assert module(torch.zeros(1, channels, *size)).shape == (1, channels, *size)


@pytest.mark.parametrize(
    ("arguments", "layer"),
    [
        ({}, nn.LayerNorm),
        ({"generator_affine": "channel"}, nn.GroupNorm),
        ({"generator_affine": "none"}, nn.GroupNorm),
        ({"generator_norm": "instance", "generator_affine": "channel"}, nn.InstanceNorm2d),
        ({"generator_norm": "batch", "generator_affine": "channel"}, nn.BatchNorm2d),
        ({"generator_norm": "none"}, nn.Identity),
    ],
    ids=str,
)
def test_the_norm_stands_after_each_convolution_but_the_last(arguments, layer):
    generator, expected = tvconv(generator_layers=2, **arguments).weight_generator, [nn.Conv2d, layer, nn.ReLU] * 3
    assert [isinstance(*pair) for pair in zip(generator, [*expected, nn.Conv2d], strict=True)] == [True] * 10


def test_the_layer_norm_is_pytorchs_and_keeps_its_order_in_memory():
    layer = tvconv(out_size=(5, 6)).weight_generator[1]
    plain = nn.LayerNorm([8, 5, 6])
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.normal_()
    layer.load_state_dict(plain.state_dict())
    for twin in (layer, copy.deepcopy(layer).to(memory_format=torch.channels_last)):
        assert twin.weight.stride() == twin.bias.stride() == (1, 48, 8)
        maps = torch.randn(1, 8, 5, 6).to(memory_format=torch.channels_last)
        out = twin(maps)
        torch.testing.assert_close(out, plain(maps), check_stride=False)
        assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_batch_and_instance_norms_have_a_scale_for_each_channel_only_if_they_are_to_learn(norm):
    for affine, learns in [("channel", True), ("none", False)]:
        layers = tvconv(generator_norm=norm, generator_affine=affine).weight_generator
        assert all((layer.weight is not None) is learns for layer in layers[1::3])
