"""Depthwise convolutions of any network give way to operators; all else, and the network itself, stays as it was."""

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from random_weights import randomise
from torch import nn

from facerec.backbones import MobileNetV2, ShuffleNetV2
from facerec.cost import measure_cost
from facerec.deploy import reparameterize
from facerec.operators.depthwise import Depthwise
from facerec.operators.tvconv import TVConv
from facerec.surgery import replace_depthwise

BACKBONES = pytest.mark.parametrize("backbone", [MobileNetV2, ShuffleNetV2])
SIZE = (36, 21)
SmallTVConv = partial(TVConv, generator_channels=4, generator_layers=0)
# Constant maps and borders that continue them: the weights are the same at every position.
ConstantTVConv = partial(SmallTVConv, generator_padding="replicate")


class Spy:
    """An operator that notes how it is called. It cannot start as a convolution."""

    def __init__(self):
        self.calls = []

    def __call__(self, channels, stride=1, out_size=None):
        self.calls.append((channels, stride, out_size))
        return Depthwise(channels, stride)


class Shape(nn.Module):
    """What an operator was asked for, and nothing that runs."""

    def __init__(self, channels, stride=1, out_size=None, *, kernel_size=3):
        super().__init__()
        self.asked = (channels, stride, out_size, kernel_size)


class AsymmetricallyPadded(nn.Conv2d):
    """Pads as TensorFlow does."""

    def forward(self, x):
        return super().forward(F.pad(x, (0, 1, 0, 1)))


class Standardised(nn.Conv2d):
    """Does not convolve with its weights as they are."""

    def forward(self, x):
        return F.conv2d(x, self.weight - self.weight.mean(), self.bias, padding=1, groups=self.groups)


def depthwise(kernel_size=3, channels=4, padding=None, bias=False, **arguments):
    padding = kernel_size // 2 if padding is None else padding
    return nn.Conv2d(channels, channels, kernel_size, padding=padding, groups=channels, bias=bias, **arguments)


def images(size=SIZE, channels=3, batch=2):
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(0))


def network(backbone=MobileNetV2, operator=Depthwise, seed=0):
    torch.manual_seed(seed)
    return backbone(0.1, operator, SIZE, embedding_dim=8)


def of_kind(model, kind):
    return [module for module in model.modules() if isinstance(module, kind)]


def assert_same(out, expected):
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5, check_stride=False)


@BACKBONES
def test_depthwise_convolutions_in_place_of_depthwise_convolutions_change_nothing(backbone):
    model = randomise(network(backbone)).eval()
    other = replace_depthwise(model, Depthwise, SIZE)
    assert torch.equal(other(images()), model(images()))
    assert not {id(module) for module in other.modules()} & {id(module) for module in model.modules()}


@BACKBONES
def test_the_result_is_the_network_that_is_built_with_the_operator(backbone):
    built, made = network(backbone, SmallTVConv), replace_depthwise(network(backbone), SmallTVConv, SIZE)
    assert {name: p.shape for name, p in made.named_parameters()} == {
        name: p.shape for name, p in built.named_parameters()
    }
    assert measure_cost(made, SIZE) == measure_cost(built, SIZE)
    made.load_state_dict(built.state_dict())
    assert torch.equal(made.eval()(images()), built.eval()(images()))


@BACKBONES
@pytest.mark.parametrize("size", [(36, 20), (33, 47), (16, 17)], ids=str)
def test_operators_are_told_the_sizes_of_the_maps_also_of_odd_images(backbone, size):
    built, made = Spy(), Spy()
    model = backbone(0.1, built, size, embedding_dim=8)
    replace_depthwise(model, made, size)
    assert made.calls == built.calls


@BACKBONES
def test_an_operator_that_can_starts_as_the_convolution_it_replaces(backbone):
    model = randomise(network(backbone)).eval()
    other = replace_depthwise(model, ConstantTVConv, SIZE)
    assert len(of_kind(other, TVConv)) == len(of_kind(model, Depthwise)) > 10
    assert_same(other(images()), model(images()))
    assert_same(reparameterize(other)(images()), model(images()))


@BACKBONES
def test_gradient_reaches_every_parameter_of_the_result(backbone):
    other = replace_depthwise(network(backbone), SmallTVConv, SIZE)
    (other(images(batch=4)) * torch.randn(4, 8)).sum().backward()
    assert [name for name, p in other.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was_and_the_result_is_in_its_mode(training):
    model = network().train(training)
    next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d)).eval()  # as in fine-tuning
    state, modes = copy.deepcopy(model.state_dict()), [module.training for module in model.modules()]
    other = replace_depthwise(model, Depthwise, SIZE)
    for part in (model, other):
        torch.testing.assert_close(part.state_dict(), state, rtol=0, atol=0)
        assert [module.training for module in part.modules()] == modes
        assert not any(module._forward_hooks for module in part.modules())
        assert all(p.grad is None and p.requires_grad for p in part.parameters())


@pytest.mark.parametrize(
    ("device", "dtype"), [("cpu", torch.bfloat16), ("cpu", torch.float64), ("meta", torch.float32)]
)
def test_operators_are_on_the_device_and_of_the_type_of_the_convolution(device, dtype):
    model = nn.Sequential(depthwise(bias=True), nn.Conv2d(4, 8, 1)).to(device, dtype)
    other = replace_depthwise(model, ConstantTVConv, (6, 6))
    assert {(str(p.device), p.dtype) for p in other.parameters()} == {(device, dtype)}
    x = torch.zeros(1, 4, 6, 6, device=device, dtype=dtype)
    assert other(x).dtype == dtype and other(x).shape == (1, 8, 6, 6)


@pytest.mark.parametrize(
    ("where", "replaced"),
    [
        ("*", ["0", "2.0", "2.1"]),
        ("2.*", ["2.0", "2.1"]),
        (["0", "*.1"], ["0", "2.1"]),
        (("0", "?"), ["0"]),
        (lambda name, conv: conv.kernel_size == (5, 5), ["2.1"]),
        (lambda name, conv: name.endswith("0"), ["0", "2.0"]),
    ],
    ids=lambda part: "function" if callable(part) else str(part),
)
def test_only_what_is_chosen_is_replaced(where, replaced):
    dense, grouped, one_by_one = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=2), depthwise(1)
    others = nn.Sequential(dense, grouped, one_by_one)
    model = nn.Sequential(depthwise(), others, nn.Sequential(depthwise(), depthwise(5)))
    other = replace_depthwise(model, Depthwise, (6, 6), where)
    assert [name for name, module in other.named_modules() if isinstance(module, Depthwise)] == replaced
    assert_same(other(images((6, 6), 4)), model(images((6, 6), 4)))


@pytest.mark.parametrize("operator", [Shape, partial(Shape, kernel_size=3), partial(partial(Shape), kernel_size=7)])
def test_the_convolutions_kernel_size_is_kept_unless_the_operators_own_is_asked_for(operator):
    model = nn.Sequential(depthwise(5), depthwise(3, stride=2))
    own = operator(1).asked[-1]
    kept, replaced = (replace_depthwise(model, operator, (7, 5), keep_kernel_size=keep) for keep in (True, False))
    assert [module.asked for module in kept] == [(4, 1, (7, 5), 5), (4, 2, (4, 3), 3)]
    assert [module.asked for module in replaced] == [(4, 1, (7, 5), own), (4, 2, (4, 3), own)]


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("padding", ["same", None])
def test_weights_and_bias_are_carried_over(padding, kernel_size):
    conv, x = depthwise(kernel_size, padding=padding, bias=True), images((7, 5), 4)
    for operator in (Depthwise, partial(Depthwise, bias=True), ConstantTVConv):
        assert_same(replace_depthwise(conv, operator, (7, 5))(x), conv(x))


@pytest.mark.parametrize(
    ("conv", "keep"),
    [
        (depthwise(5, bias=True), False),
        (depthwise(3, padding_mode="reflect", bias=True), True),
        (AsymmetricallyPadded(4, 4, 3, stride=2, padding=0, groups=4), True),
        (Standardised(4, 4, 3, padding=1, groups=4), True),
    ],
    ids=["another kernel size", "other borders", "asymmetric borders", "other weights"],
)
def test_weights_that_would_give_something_else_are_not_carried_over(conv, keep):
    other = replace_depthwise(nn.Sequential(conv), Depthwise, (6, 6), keep_kernel_size=keep)
    spatial, offset = other[0]
    assert spatial.weight.shape != conv.weight.shape or not torch.equal(spatial.weight, conv.weight)
    assert torch.equal(offset.bias, conv.bias)
    assert other(images((6, 6), 4)).shape == conv(images((6, 6), 4)).shape


def test_the_bias_of_a_convolution_is_learned_after_the_operator_in_the_type_of_the_map():
    other = replace_depthwise(depthwise(bias=True), Spy(), (6, 6))
    x = images((6, 6), 4)
    assert other[1].bias.abs().max() > 0
    assert_same(other(x) - other[0](x), other[1].bias[:, None, None].expand(2, -1, 6, 6))
    with torch.autocast("cpu", torch.bfloat16):
        out = other(x)
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert torch.equal(other[1].bias.grad, torch.full((4,), 2.0 * 36))


def test_a_convolution_that_stands_at_two_places_is_replaced_at_both_by_one_operator():
    conv = depthwise()
    model = nn.Sequential(conv, nn.ReLU(), nn.Sequential(conv))
    other = replace_depthwise(model, Depthwise, (6, 6))
    assert other[0] is other[2][0] and other[0] is not conv
    assert torch.equal(other(images((6, 6), 4)), model(images((6, 6), 4)))
