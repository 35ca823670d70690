"""CondConv against timm's, against the sum of its experts' outputs, and the routing which a block shares."""

import math

import pytest
import torch
import torch.nn.functional as F
from random_weights import randomise
from says import refuses
from timm.layers.cond_conv2d import CondConv2d
from torch import nn

from facerec.backbones.mobilenet_v2 import MobileNetV2
from facerec.cost import measure_cost
from facerec.operators.condconv import CondConv, RoutedConv, Routing, condconv
from facerec.operators.depthwise import Depthwise

STRIDES = pytest.mark.parametrize("stride", [1, 2])


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def build(channels=6, stride=1, seed=0, **arguments) -> CondConv:
    torch.manual_seed(seed)
    return randomise(CondConv(channels, stride, **arguments))  # pyright: ignore[reportReturnType]


def block_of_three(seed=0):
    """Expand 4 to 8, filter, project to 5: the layers, and the module that routes them."""
    torch.manual_seed(seed)
    operator = condconv(where="all")
    layers = nn.Sequential(
        operator.make_pointwise(4, 8), nn.ReLU6(), operator(8, stride=2), operator.make_pointwise(8, 5)
    )
    return layers, randomise(operator.block(4, layers))


def convolve(x, expert, stride=1):
    return F.conv2d(x, expert, stride=stride, padding=expert.shape[-1] // 2, groups=len(x[0]) // expert.shape[1])


def sum_of_outputs(x, gates, conv, stride=1):
    """Each expert convolves all images, then the outputs are mixed: slow, and nothing differs between images."""
    experts = conv.experts.view(-1, *conv.filter_shape)
    return sum(gates[:, e, None, None, None] * convolve(x, expert, stride) for e, expert in enumerate(experts))


@STRIDES
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_it_is_timms_with_the_same_experts_and_gates(stride, kernel_size):
    module, x = build(stride=stride, kernel_size=kernel_size), noise(3, 6, 7, 8)
    oracle = CondConv2d(6, 6, kernel_size, stride, padding=kernel_size // 2, groups=6, num_experts=4)
    oracle.weight.data = module.conv.experts.data.clone()
    torch.testing.assert_close(module(x), oracle(x, module.routing(x)), check_stride=False, rtol=1e-4, atol=1e-5)


@STRIDES
@pytest.mark.parametrize("batch", [1, 3])
def test_it_is_the_sum_of_the_experts_outputs_weighted_by_the_sigmoid_of_the_mean_input(stride, batch):
    module, x = build(stride=stride), noise(batch, 6, 5, 4)
    logits = x.sum((2, 3)) / 20 @ module.routing.weight.T + module.routing.bias
    expected = sum_of_outputs(x, 1 / (1 + torch.exp(-logits)), module.conv, stride)
    torch.testing.assert_close(module(x), expected, check_stride=False)


@pytest.mark.parametrize("chosen", [0, 2])
def test_a_gate_of_one_and_others_of_zero_select_an_expert(chosen):
    module, x = build(), noise(3, 6, 5, 4)
    module.routing.weight.data.zero_()
    module.routing.bias.data.fill_(-200)[chosen] = 200
    expected = convolve(x, module.conv.experts[chosen].view(6, 1, 3, 3))
    torch.testing.assert_close(module(x), expected, check_stride=False)


def test_one_expert_with_the_gate_open_is_a_depthwise_convolution():
    module, x = build(experts=1), noise(3, 6, 5, 4)
    module.routing.bias.data.fill_(200)
    expected = convolve(x, module.conv.experts.view(6, 1, 3, 3))
    torch.testing.assert_close(module(x), expected, check_stride=False)


def test_images_in_another_order_give_the_outputs_in_that_order():
    module, x, order = build(), noise(4, 6, 5, 4), [2, 0, 3, 1]
    torch.testing.assert_close(module(x[order]), module(x)[order])


def test_images_with_the_same_mean_have_the_same_filters_and_others_have_not():
    module, image = build(), noise(1, 6, 5, 4)
    impulse = torch.zeros(1, 6, 5, 4)
    impulse[..., 2, 2] = image.sum((2, 3))
    gates = module.routing(torch.cat([image, image.flip(3), impulse, 2 * image]))
    torch.testing.assert_close(gates[:3], gates[:1].expand(3, -1))
    assert not torch.allclose(gates[3], gates[0], atol=1e-3)


def test_gates_are_not_normalised():
    gates = build().routing(noise(4, 6, 5, 4))
    assert ((gates > 0) & (gates < 1)).all() and (gates.sum(1) > 1.2).all()


def test_each_expert_starts_with_the_spread_of_a_depthwise_convolution():
    """The standard deviation sqrt(2 / (9 C)), not that of the stack of all experts."""
    torch.manual_seed(0)
    experts = CondConv(400).conv.experts
    torch.testing.assert_close(experts.std(dim=1), torch.full((4,), math.sqrt(2 / 3600)), rtol=0.05, atol=0)
    torch.testing.assert_close(experts.mean(dim=1), torch.zeros(4), rtol=0, atol=1e-3)


@STRIDES
@pytest.mark.parametrize("experts", [1, 4])
def test_it_starts_from_a_depthwise_convolution(stride, experts):
    depthwise, module, x = Depthwise(6, stride), build(stride=stride, experts=experts), noise(3, 6, 5, 4)
    module.start_from(depthwise.weight)
    torch.testing.assert_close(module(x), depthwise(x), check_stride=False)
    module(x).square().sum().backward()
    for gradient in (module.conv.experts, module.routing.weight, module.routing.bias):
        assert gradient.grad.abs().amax(dim=-1).min() > 0


def test_experts_which_started_from_a_depthwise_convolution_get_gates_of_their_own():
    module, x = build(), noise(3, 6, 5, 4)
    module.start_from(noise(6, 1, 3, 3))
    module(x).square().sum().backward()
    assert module.routing.weight.grad.std(dim=0).min() > 0


def test_filters_of_another_kernel_size_are_not_taken():
    with pytest.raises(RuntimeError, match="shape"):
        build(kernel_size=3).start_from(noise(6, 1, 5, 5))


def test_gradients_are_the_numerical_ones():
    module, x = build(2, experts=2).double(), noise(2, 2, 4, 3, dtype=torch.float64).requires_grad_()
    parameters = dict(module.named_parameters())

    def apply(x, *values):
        return torch.func.functional_call(module, dict(zip(parameters, values, strict=True)), x)

    assert torch.autograd.gradcheck(apply, (x, *parameters.values()))


# All convolutions of a block.


def test_all_convolutions_of_a_block_share_the_gates_of_the_blocks_input():
    layers, block = block_of_three()
    expand, _, spatial, project = layers
    x = noise(3, 4, 7, 5)
    gates = torch.sigmoid(x.mean((2, 3)) @ block.routing.weight.T + block.routing.bias)
    hidden = sum_of_outputs(x, gates, expand).clamp(0, 6)
    expected = sum_of_outputs(sum_of_outputs(hidden, gates, spatial, stride=2), gates, project)
    torch.testing.assert_close(block(x), expected, check_stride=False, rtol=1e-4, atol=1e-4)


def test_a_convolution_of_a_block_without_its_block_says_what_it_lacks():
    layers, _ = block_of_three()
    with refuses('where="all"', "gates", "operator.block(in_channels, layers)", 'where="dw"'):
        layers(noise(3, 4, 7, 5))


def test_it_is_in_three_convolutions_of_each_block_and_is_saved_with_the_network():
    torch.manual_seed(0)
    one, other = (MobileNetV2(0.1, condconv(where="all"), (32, 32), 8) for _ in range(2))
    kinds = [type(module) for module in one.modules()]
    assert kinds.count(Routing) == 17
    assert sum(issubclass(kind, RoutedConv) for kind in kinds) == 3 * 17 - 1
    images = noise(4, 3, 32, 32)
    (one(images) * noise(4, 8)).sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in one.parameters())
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.eval()(images), other.eval()(images))


# Cost.


@pytest.mark.parametrize("experts", [4, 8])
def test_cost_is_the_convolution_plus_routing_and_mixing(experts):
    module = CondConv(3, 2, experts=experts)
    cost, mixing = measure_cost(module, (8, 6)), 9 * 3 * experts
    assert cost.macs_core == 9 * 3 * 4 * 3 + 3 * experts + mixing
    assert cost.params == mixing + 3 * experts + experts


def test_cost_of_a_block_counts_its_routing_once():
    operator = condconv(where="all")
    layers = nn.Sequential(operator.make_pointwise(3, 8), operator(8, stride=2), operator.make_pointwise(8, 5))
    cost, filters = measure_cost(operator.block(3, layers), (8, 6)), 3 * 8 + 9 * 8 + 8 * 5
    assert cost.macs_core == 3 * 8 * 48 + 9 * 8 * 12 + 8 * 5 * 12 + 4 * filters + 4 * 3
    assert cost.params == 4 * filters + 4 * 3 + 4


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"where": "pw"}, ("where", "dw", "all", "pw")),
        ({"experts": 0}, ("experts", "1", "0")),
        ({"experts": 0, "where": "all"}, ("experts", "1", "0")),
        ({"kernel_size": 4, "where": "all"}, ("kernel_size", "odd", "4")),
    ],
    ids=str,
)
def test_an_argument_out_of_its_values_is_refused_in_a_sentence(arguments, facts):
    with refuses(*facts):
        condconv(**arguments)(4)


def test_the_routing_starts_uniform_within_the_published_bound():
    torch.manual_seed(0)
    routing = CondConv(200, experts=40).routing
    bound = (200 + 40) ** -0.5
    assert routing.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert routing.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)
    assert (routing.bias == 0).all()
