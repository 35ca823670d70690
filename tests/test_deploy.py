"""The inference form gives what the training form gives, and leaves it alone."""

import copy

import pytest
import torch
from random_weights import randomise
from says import refuses
from torch import nn

from facerec.backbones import MobileNetV2, ShuffleNetV2
from facerec.deploy import position_shares, reparameterize
from facerec.operators.common.position_dependent_base import PositionDependentConv
from facerec.operators.depthwise import Depthwise
from facerec.operators.tvconv import TVConv
from facerec.operators.tvconv_dynamic import TVConvDynamic

BACKBONES = pytest.mark.parametrize("backbone", [MobileNetV2, ShuffleNetV2])
FORMATS = pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)


def tvconv(channels=4, stride=1, out_size=(6, 6), **arguments) -> TVConv:
    torch.manual_seed(0)
    return randomise(TVConv(channels, stride, out_size, generator_channels=8, **arguments))


def network(backbone, **arguments):
    torch.manual_seed(0)
    operator = lambda channels, stride, out_size: TVConv(  # noqa: E731
        channels, stride, out_size, generator_channels=4, generator_layers=1, **arguments
    )
    return randomise(backbone(0.1, operator, (36, 20), embedding_dim=16))


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def assert_same(deployed, model, x):
    torch.testing.assert_close(deployed(x), copy.deepcopy(model).eval()(x), rtol=1e-5, atol=1e-5)


@FORMATS
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize(("in_size", "stride", "out_size"), [((6, 5), 1, (6, 5)), ((7, 6), 2, (4, 3))], ids=str)
def test_an_operator_gives_the_same_output(in_size, stride, out_size, kernel_size, bias, memory_format):
    module = tvconv(4, stride, out_size, kernel_size=kernel_size, bias=bias)
    x = noise(2, 4, *in_size).to(memory_format=memory_format)
    deployed = reparameterize(module)
    assert isinstance(deployed, PositionDependentConv)
    assert (deployed.bias is not None) is bias
    assert_same(deployed, module, x)


@pytest.mark.parametrize("norm", ["layer", "instance", "batch", "none"])
def test_every_norm_of_the_generator_is_folded_as_it_evaluates(norm):
    module = tvconv(generator_norm=norm, generator_affine="channel")
    module(noise(2, 4, 6, 6))
    assert_same(reparameterize(module), module, noise(2, 4, 6, 6))


@FORMATS
@BACKBONES
@pytest.mark.parametrize("bias", [False, True])
def test_a_network_gives_the_same_embeddings(backbone, bias, memory_format):
    model = network(backbone, bias=bias).to(memory_format=memory_format)
    images = noise(2, 3, 36, 20).to(memory_format=memory_format)
    deployed = reparameterize(model)
    assert deployed(images).std() > 0.01
    assert_same(deployed, model, images)


@BACKBONES
def test_a_deployed_network_has_no_generator_and_no_affinity_maps(backbone):
    model = network(backbone)
    deployed = reparameterize(model)
    assert not any("generator" in name or "affinity" in name for name in deployed.state_dict())
    kinds = [type(module) for module in deployed.modules()]
    assert TVConv not in kinds
    assert kinds.count(PositionDependentConv) == [type(module) for module in model.modules()].count(TVConv) > 10
    assert not any(module.training for module in deployed.modules())


def test_what_was_generated_is_fixed():
    deployed = reparameterize(tvconv(bias=True))
    assert list(deployed.parameters()) == []
    assert {name: tuple(buffer.shape) for name, buffer in deployed.named_buffers()} == {
        "weight": (9, 6 * 6, 4),
        "bias": (6, 6, 4),
    }
    assert not any(buffer.requires_grad for buffer in deployed.buffers())
    assert not deployed(noise(1, 4, 6, 6)).requires_grad


def test_channels_last_leaves_the_order_of_cached_weights_alone():
    deployed = reparameterize(nn.Sequential(tvconv(bias=True), TVConvDynamic(4, 1, (6, 6), generator_channels=2)))
    before = {name: buffer.stride() for name, buffer in deployed.named_buffers()}
    deployed.to(memory_format=torch.channels_last)
    assert {name: buffer.stride() for name, buffer in deployed.named_buffers()} == before
    assert all(buffer.is_contiguous() for buffer in deployed.buffers())


@BACKBONES
def test_the_original_is_untouched_and_still_trains(backbone):
    model = network(backbone).train()
    state, kinds = copy.deepcopy(model.state_dict()), [type(module) for module in model.modules()]
    deployed = reparameterize(model)
    assert model.training
    assert [type(module) for module in model.modules()] == kinds
    torch.testing.assert_close(model.state_dict(), state, rtol=0, atol=0)
    embeddings = deployed(noise(2, 3, 36, 20))
    model(noise(2, 3, 36, 20)).square().sum().backward()
    for parameter in model.parameters():
        parameter.data -= 0.1 * parameter.grad
    assert torch.equal(deployed(noise(2, 3, 36, 20)), embeddings)


@BACKBONES
def test_a_network_without_such_a_part_is_copied(backbone):
    model = randomise(backbone(0.1, Depthwise, (36, 20), embedding_dim=16))
    deployed = reparameterize(model)
    assert deployed is not model and not deployed.training
    torch.testing.assert_close(deployed.state_dict(), model.state_dict(), rtol=0, atol=0)
    assert not {p.data_ptr() for p in deployed.parameters()} & {p.data_ptr() for p in model.parameters()}
    assert_same(deployed, model, noise(2, 3, 36, 20))


@BACKBONES
def test_deploying_twice_changes_nothing(backbone):
    once = reparameterize(network(backbone))
    twice = reparameterize(once)
    assert torch.equal(twice(noise(2, 3, 36, 20)), once(noise(2, 3, 36, 20)))


def test_an_operator_that_stands_at_two_places_is_replaced_at_both():
    module = tvconv()
    model = nn.Sequential(module, nn.ReLU(), module)
    deployed = reparameterize(model)
    assert_same(deployed, model, noise(2, 4, 6, 6))
    assert not any(isinstance(part, TVConv) for part in deployed.modules())


@pytest.mark.parametrize("bias", [False, True])
def test_under_autocast_the_output_keeps_the_type_of_the_training_form(bias):
    module = tvconv(bias=bias)
    deployed, x = reparameterize(module), noise(2, 4, 6, 6).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert deployed(x).dtype == module(x).dtype == torch.bfloat16


def test_a_deployed_operator_refuses_another_image_size():
    with refuses("4 channels at 7x6", "4 at 6x6", "image size"):
        reparameterize(tvconv())(torch.zeros(1, 4, 7, 6))


def test_how_much_weights_depend_on_the_position():
    weight = torch.full((9, 8, 8, 4), 3.0)
    assert position_shares(nn.Sequential(PositionDependentConv(weight)))["0"] == {"whole": 0, "middle": 0}
    weight[:, :, :2] = 0  # a border of two of eight columns: mean 2.25, mean square 6.75
    shares = position_shares(nn.Sequential(nn.ReLU(), PositionDependentConv(weight)))
    assert shares == {"1": {"whole": pytest.approx(1 - 2.25**2 / 6.75), "middle": 0}}
    weight[:, 4] = -3  # one of the middle's four rows
    (share,) = position_shares(nn.Sequential(PositionDependentConv(weight))).values()
    assert share["middle"] == pytest.approx(1 - 1.5**2 / 9)
    assert position_shares(nn.Sequential(nn.Conv2d(4, 4, 3))) == {}
    assert position_shares(PositionDependentConv(torch.zeros(9, 4, 4, 2)))[""] == {"whole": 0, "middle": 0}
