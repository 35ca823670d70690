"""WeightNet against convolutions of one channel of one image, and its identity with channel attention."""

import math

import pytest
import torch
import torch.nn.functional as F
from random_weights import randomise
from says import refuses

from facerec.cost import measure_cost
from facerec.operators.depthwise import Depthwise
from facerec.operators.weightnet import WeightNet

STRIDES = pytest.mark.parametrize("stride", [1, 2])
TEMPLATES = pytest.mark.parametrize(("multiplier", "groups", "templates"), [(2, 2, 1), (4, 2, 2), (3, 1, 3)])


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def build(channels=6, stride=1, seed=0, **arguments) -> WeightNet:
    torch.manual_seed(seed)
    return randomise(WeightNet(channels, stride, **arguments))  # pyright: ignore[reportReturnType]


def always_open(module):
    """Every gate is 1."""
    module.expand.weight.data.zero_()
    module.expand.bias.data.fill_(200)
    return module


@STRIDES
@TEMPLATES
def test_each_channel_of_each_image_is_convolved_with_its_own_sum_of_its_own_templates(
    stride, multiplier, groups, templates
):
    module, x = build(stride=stride, multiplier=multiplier, groups=groups), noise(3, 6, 7, 5)
    reduced = x.sum((2, 3)) / 35 @ module.reduce.weight.T + module.reduce.bias
    logits = reduced @ module.expand.weight.T + module.expand.bias
    out = module(x)
    for b in range(3):
        for c in range(6):
            gates = torch.sigmoid(logits[b, c * templates : (c + 1) * templates])
            kernel = sum(gate * template.view(3, 3) for gate, template in zip(gates, module.templates[c], strict=True))
            expected = F.conv2d(x[b : b + 1, c : c + 1], kernel[None, None], stride=stride, padding=1)
            torch.testing.assert_close(out[b : b + 1, c : c + 1], expected, check_stride=False, rtol=1e-4, atol=1e-5)


@STRIDES
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_with_as_many_groups_as_multiples_it_scales_the_channels_of_a_depthwise_convolution(stride, kernel_size):
    module, x = build(stride=stride, kernel_size=kernel_size), noise(3, 6, 7, 5)
    filters = module.templates.view(6, 1, kernel_size, kernel_size)
    static = F.conv2d(x, filters, stride=stride, padding=kernel_size // 2, groups=6)
    torch.testing.assert_close(module(x), module.gates(x)[..., None] * static, check_stride=False)


@TEMPLATES
def test_with_gates_of_one_it_is_the_depthwise_convolution_of_the_summed_templates(multiplier, groups, templates):
    module, x = always_open(build(multiplier=multiplier, groups=groups)), noise(3, 6, 5, 4)
    expected = F.conv2d(x, module.templates.sum(1).view(6, 1, 3, 3), padding=1, groups=6)
    torch.testing.assert_close(module(x), expected, check_stride=False)


def test_the_gates_of_a_channel_do_not_change_another_channel():
    module, x = build(multiplier=4), noise(2, 6, 5, 4)
    before = module(x)
    module.expand.bias.data[4:6] += 1
    others = [0, 1, 3, 4, 5]
    assert torch.equal(module(x)[:, others], before[:, others])
    assert not torch.allclose(module(x)[:, 2], before[:, 2], atol=1e-3)


def test_images_in_another_order_give_the_outputs_in_that_order():
    module, x, order = build(), noise(4, 6, 5, 4), [2, 0, 3, 1]
    torch.testing.assert_close(module(x[order]), module(x)[order])


def test_gates_start_around_a_half_and_templates_as_depthwise_filters():
    torch.manual_seed(0)
    module = WeightNet(400, multiplier=4)
    gates = module.gates(noise(4, 400, 5, 4).abs())
    assert gates.shape == (4, 400, 2)
    assert (gates - 0.5).abs().max() < 0.1
    spread = module.templates.std(dim=(0, 2))
    torch.testing.assert_close(spread, torch.full((2,), math.sqrt(2 / 3600)), rtol=0.05, atol=0)


@STRIDES
@TEMPLATES
def test_it_starts_from_a_depthwise_convolution(stride, multiplier, groups, templates):
    module, depthwise = build(stride=stride, multiplier=multiplier, groups=groups), Depthwise(6, stride)
    module.start_from(depthwise.weight)
    x = noise(3, 6, 5, 4)
    torch.testing.assert_close(module(x), depthwise(x), check_stride=False)
    module(x).square().sum().backward()
    gradient = module.expand.weight.grad.unflatten(0, (6, templates))
    assert gradient.abs().amax(dim=2).min() > 0
    if templates > 1:
        assert gradient.std(dim=1).amax(dim=1).min() > 0


def test_filters_of_another_kernel_size_are_not_taken():
    with pytest.raises(RuntimeError, match="shape"):
        build(kernel_size=3).start_from(noise(6, 1, 5, 5))


def test_gradients_are_the_numerical_ones():
    module, x = build(2, multiplier=4).double(), noise(2, 2, 4, 3, dtype=torch.float64).requires_grad_()
    parameters = dict(module.named_parameters())

    def apply(x, *values):
        return torch.func.functional_call(module, dict(zip(parameters, values, strict=True)), x)

    assert torch.autograd.gradcheck(apply, (x, *parameters.values()))


@pytest.mark.parametrize(("channels", "reduced"), [(3, 16), (256, 16), (960, 60)])
@pytest.mark.parametrize("templates", [1, 8])
def test_cost_is_the_convolution_plus_the_two_layers_and_the_mixing(channels, reduced, templates):
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, channels, 1), WeightNet(channels, 2, multiplier=templates, groups=1)
    )
    before, cost = measure_cost(module[:1], (8, 6)), measure_cost(module, (8, 6))
    linear = channels * reduced + reduced * templates * channels
    assert cost.macs_core - before.macs_core == 9 * channels * 12 + linear + 9 * templates * channels
    offsets = reduced + templates * channels
    assert cost.params - before.params == linear + offsets + 9 * templates * channels


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (
            {"multiplier": 1},
            ("multiplier=1", "groups=2", "2, 4, 6"),
        ),
        (
            {"multiplier": 4, "groups": 3},
            ("multiplier=4", "groups=3", "3, 6, 9"),
        ),
        ({"groups": 0}, ("groups", "1", "0")),
        ({"multiplier": 0}, ("multiplier", "1", "0")),
    ],
    ids=str,
)
def test_an_argument_out_of_its_values_is_refused_in_a_sentence(arguments, facts):
    with refuses(*facts):
        build(**arguments)
