"""TVConv with bias fields: against the sum written out, and what an image may and may not change."""

import inspect

import pytest
import torch
from random_weights import randomise
from says import refuses
from torch import nn

from facerec.cost import measure_cost
from facerec.deploy import reparameterize
from facerec.operators.tvconv import TVConv
from facerec.operators.tvconv_dynamic import DeployedTVConvDynamic, TVConvDynamic


def operator(channels=3, stride=1, out_size=(5, 4), seed=0, **arguments) -> TVConvDynamic:
    torch.manual_seed(seed)
    return TVConvDynamic(channels, stride, out_size, **{"generator_channels": 8, **arguments})


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def keyword_only(function):
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}


def by_hand(module, x):
    """TVConv's result and, image by image and field by field, the fields."""
    out = module.tvconv(x).clone()
    _, _, first, _, last = module.coefficients
    generated = module.field_generator(module.tvconv.affinity_maps)[0]
    for image in range(len(x)):
        mean = torch.stack([channel.mean() for channel in x[image]])
        coefficients = last.weight @ (first.weight @ mean + first.bias).clamp(min=0) + last.bias
        for coefficient, field in zip(coefficients, generated.split(x.shape[1]), strict=True):
            out[image] += coefficient * field
    return out


@torch.no_grad()
@pytest.mark.parametrize("rank", [1, 2, 5])
@pytest.mark.parametrize(("in_size", "stride", "out_size"), [((5, 4), 1, (5, 4)), ((7, 5), 2, (4, 3))])
@pytest.mark.parametrize("bias", [False, True])
def test_it_is_tvconv_plus_the_fields_by_the_coefficients_of_the_image(rank, in_size, stride, out_size, bias):
    module, x = randomise(operator(3, stride, out_size, rank=rank, bias=bias)), noise(3, 3, *in_size)
    torch.testing.assert_close(module(x), by_hand(module, x), rtol=1e-4, atol=1e-5, check_stride=False)


@torch.no_grad()
def test_with_coefficients_of_0_it_is_tvconv():
    module, x = randomise(operator()), noise(2, 3, 5, 4)
    nn.init.zeros_(module.coefficients[-1].weight)
    nn.init.zeros_(module.coefficients[-1].bias)
    assert torch.equal(module(x), module.tvconv(x))


@torch.no_grad()
def test_two_images_get_different_fields_and_the_same_image_moved_about_does_not():
    module, x = operator(), noise(2, 3, 5, 4)

    def field(images):
        return module(images) - module.tvconv(images)

    one, other = field(x)
    assert (one - other).abs().max() > 0.1 * one.abs().max() > 0
    torch.testing.assert_close(field(x.flip(2)), field(x), atol=1e-5, rtol=1e-3)


@torch.no_grad()
def test_at_the_start_the_fields_are_small_beside_what_tvconv_gives():
    module, x = operator(48, 1, (6, 6), generator_channels=64), noise(8, 48, 6, 6).clamp(0, 6)
    convolved = module.tvconv(x)
    assert 0 < (module(x) - convolved).std() < 0.2 * convolved.std()


@pytest.mark.parametrize("start", [{"generator_padding": "replicate"}, {"generator_kernel_size": 1}], ids=str)
def test_it_starts_from_a_depthwise_convolution_where_tvconv_does_and_leaves_it_in_training(start):
    module, x, weight = operator(**start), noise(2, 3, 5, 4), noise(3, 1, 3, 3, seed=1)
    module.start_from(weight)
    expected = nn.functional.conv2d(x, weight, padding=1, groups=3)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-4, check_stride=False)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        module(x).square().sum().backward()
        optimizer.step()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in module.parameters())


# Deployment.


@torch.no_grad()
@pytest.mark.parametrize(("in_size", "stride", "out_size"), [((5, 4), 1, (5, 4)), ((7, 5), 2, (4, 3))])
@pytest.mark.parametrize("bias", [False, True])
def test_the_inference_form_gives_the_same_and_generates_nothing(in_size, stride, out_size, bias):
    module, x = randomise(operator(3, stride, out_size, bias=bias)), noise(3, 3, *in_size)
    deployed = reparameterize(module)
    torch.testing.assert_close(deployed(x), module(x), rtol=1e-4, atol=1e-5, check_stride=False)
    assert not any(isinstance(part, nn.Conv2d) for part in deployed.modules())


@torch.no_grad()
def test_the_inference_form_is_independent_of_the_training_form():
    module, x = randomise(operator()), noise(2, 3, 5, 4)
    deployed = module.inference_form()
    expected = deployed(x)
    module.reset_parameters()
    assert torch.equal(deployed(x), expected)


def test_it_costs_rank_multiply_adds_an_output_and_the_coefficients_beside_tvconv():
    cost = measure_cost(nn.Sequential(operator(3, 2, (4, 3), rank=2, coefficient_channels=16)), (7, 5))
    assert cost.macs_core == (9 + 2) * 3 * 12 + 3 * 16 + 16 * 2
    assert cost.params_deployed == 3 * 16 + 16 + 16 * 2 + 2
    assert cost.weight_map_elements == (9 + 2) * 3 * 12
    hidden = 9 * 4 * 8 + 3 * 9 * 8 * 8
    assert cost.macs_once == 12 * (2 * hidden + 9 * 8 * (9 + 2) * 3)


def test_the_inference_form_keeps_rank_fields_beside_the_weights():
    deployed = operator(3, 2, (4, 3), rank=2).inference_form()
    assert isinstance(deployed, DeployedTVConvDynamic)
    assert {name: buffer.shape for name, buffer in deployed.named_buffers()} == {
        "conv.weight": (9, 4 * 3, 3),
        "fields.fields": (2, 4 * 3, 3),
    }


# Its arguments.


def test_it_has_the_options_of_tvconv_with_the_same_defaults():
    own = keyword_only(TVConvDynamic)
    assert {name: own.pop(name) for name in keyword_only(TVConv)} == keyword_only(TVConv)
    assert own == {"rank": 2, "coefficient_channels": 16}


CHANGED = {
    "kernel_size": 5,
    "bias": True,
    "affinity_channels": 2,
    "map_init": 0.25,
    "map_weight_decay": False,
    "generator_channels": 12,
    "generator_layers": 1,
    "generator_kernel_size": 5,
    "generator_norm": "instance",
    "generator_affine": "channel",
    "generator_padding": "replicate",
    "generator_stride": 2,
}


def test_every_option_of_tvconv_is_tried():
    assert CHANGED.keys() == keyword_only(TVConv).keys()


@pytest.mark.parametrize("option", CHANGED)
def test_options_of_tvconv_reach_it(option):
    arguments = {"generator_channels": 8, option: CHANGED[option]}
    held = operator(**arguments).tvconv
    torch.manual_seed(0)
    expected = TVConv(3, 1, (5, 4), **arguments)
    assert str(held) == str(expected)
    assert {name: p.shape for name, p in held.named_parameters()} == {
        name: p.shape for name, p in expected.named_parameters()
    }
    for name in ("kernel_size", "stride", "map_init", "map_weight_decay"):
        assert getattr(held, name) == getattr(expected, name)


@pytest.mark.parametrize("option", [name for name in CHANGED if name.startswith("generator_")])
def test_options_of_the_generator_hold_for_the_fields_too(option):
    module = operator(**{option: CHANGED[option]})
    ours, theirs = list(module.field_generator), list(module.tvconv.weight_generator)
    assert str(ours[:-1]) == str(theirs[:-1])
    assert str(ours[-1]) == str(theirs[-1]).replace(f", {9 * 3}, ", f", {2 * 3}, ")


def test_it_resets_the_fields_and_the_coefficients_after_training_as_if_it_were_new():
    def of_fields(module):
        torch.manual_seed(7)
        module.reset_parameters()
        return {name: tensor for name, tensor in module.state_dict().items() if not name.startswith("tvconv.")}

    fresh, trained = of_fields(operator(seed=0)), of_fields(randomise(operator(seed=1)))
    assert all(torch.equal(trained[name], tensor) for name, tensor in fresh.items())


@pytest.mark.parametrize("option", ["rank", "coefficient_channels"])
def test_a_count_of_0_is_refused(option):
    with refuses(option, "1", "0"):
        operator(**{option: 0})


def test_gradients_agree_with_differences():
    module = randomise(operator(2, 2, (2, 2), generator_layers=0, generator_channels=4)).double()
    x = noise(2, 2, 4, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda image, *_: module(image), (x, *module.parameters()))
