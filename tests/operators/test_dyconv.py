"""DYConv against timm's convolution with routing, the sum of its experts' outputs, and its temperature."""

import math

import pytest
import torch
import torch.nn.functional as F
from random_weights import randomise
from says import refuses
from timm.layers.cond_conv2d import CondConv2d

from facerec.backbones.mobilenet_v2 import MobileNetV2
from facerec.cost import measure_cost
from facerec.operators.depthwise import Depthwise
from facerec.operators.dyconv import DYConv, DYConvPointwise, DynamicPointwise

KINDS = pytest.mark.parametrize("kind", ["depthwise", "depthwise at stride 2", "pointwise"])


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def build(kind="depthwise", seed=0, **arguments):
    """Of 6 channels, at a temperature at which the attention is far from uniform."""
    torch.manual_seed(seed)
    if kind == "pointwise":
        module = DYConvPointwise(**arguments).make_pointwise(6, 4)
    else:
        module = DYConv(6, stride=2 if "2" in kind else 1, **arguments)
    module.on_step(1.0)
    randomise(module.hidden), randomise(module.logits)
    return module


def experts_outputs(module, x):
    """What each expert alone would give, ``(K, B, C_out, H, W)``."""
    stride, padding = getattr(module, "stride", 1), module.filter_shape[-1] // 2
    return torch.stack(
        [
            F.conv2d(x, expert.view(module.filter_shape), None, stride, padding, 1, 6 // module.filter_shape[1])
            for expert in module.experts
        ]
    )


@KINDS
@pytest.mark.parametrize("batch", [1, 3])
def test_it_is_the_sum_of_the_experts_outputs_weighted_by_the_softmax_of_two_layers_over_the_mean_input(kind, batch):
    module, x = build(kind), noise(batch, 6, 7, 5)
    module.on_step(0.13)
    hidden = (x.sum((2, 3)) / 35 @ module.hidden.weight.T).clamp(min=0)
    powers = torch.exp((hidden @ module.logits.weight.T + module.logits.bias) / 15.5)
    attention = powers / powers.sum(1, keepdim=True)
    expected = torch.einsum("bk,kbchw->bchw", attention, experts_outputs(module, x))
    torch.testing.assert_close(module(x), expected, check_stride=False, rtol=1e-4, atol=1e-5)


@KINDS
def test_it_is_timms_routed_convolution_with_the_attention_for_routing(kind):
    module, x = build(kind), noise(3, 6, 7, 5)
    out_channels, in_share, kernel, _ = module.filter_shape
    stride = getattr(module, "stride", 1)
    oracle = CondConv2d(6, out_channels, kernel, stride, padding=kernel // 2, groups=6 // in_share, num_experts=4)
    oracle.weight.data = module.experts.data.clone()
    expected = oracle(x, module.attention(x))
    torch.testing.assert_close(module(x), expected, check_stride=False, rtol=1e-4, atol=1e-5)


@KINDS
def test_one_expert_is_a_static_convolution(kind):
    module, x = build(kind, experts=1), noise(3, 6, 7, 5)
    torch.testing.assert_close(module(x), experts_outputs(module, x)[0], check_stride=False, rtol=1e-4, atol=1e-5)


@KINDS
def test_identical_experts_are_a_static_convolution(kind):
    module, x = build(kind), noise(3, 6, 7, 5)
    module.experts.data[1:] = module.experts.data[0]
    torch.testing.assert_close(module(x), experts_outputs(module, x)[0], check_stride=False, rtol=1e-4, atol=1e-5)


@KINDS
def test_the_output_lies_within_what_the_experts_give(kind):
    module, x = build(kind), noise(3, 6, 7, 5)
    out, outputs = module(x), experts_outputs(module, x)
    assert (out >= outputs.amin(0) - 1e-5).all() and (out <= outputs.amax(0) + 1e-5).all()


def test_attention_sums_to_one_and_differs_between_images():
    attention = build().attention(3 * noise(4, 6, 7, 5) + noise(4, 6, 1, 1))
    torch.testing.assert_close(attention.sum(1), torch.ones(4))
    assert attention.std(dim=0).min() > 0.01


def test_a_high_temperature_gives_the_average_of_the_experts():
    module, x = build(initial_temperature=1e6), noise(3, 6, 7, 5)
    module.on_step(0.0)
    torch.testing.assert_close(module(x), experts_outputs(module, x).mean(0), check_stride=False)


def test_a_small_attention_at_a_high_temperature_survives_bfloat16():
    """At temperature 30 the experts' weights differ by less than bfloat16 resolves around 1/4."""
    module, x = build(), noise(3, 6, 7, 5)
    module.on_step(0.0)
    with torch.autocast("cpu", torch.bfloat16):
        attention, out = module.attention(x.bfloat16()), module(x.bfloat16())
    assert attention.dtype == torch.float32 and out.dtype == torch.bfloat16
    torch.testing.assert_close(attention, module.attention(x), rtol=0, atol=5e-4)


@KINDS
def test_each_expert_starts_with_the_spread_of_a_static_convolution(kind):
    """sqrt(2 / outgoing connections), not that of the stack of all experts."""
    torch.manual_seed(0)
    module = DYConvPointwise().make_pointwise(50, 80) if kind == "pointwise" else DYConv(400)
    outgoing = 80 if kind == "pointwise" else 9 * 400
    torch.testing.assert_close(module.experts.std(dim=1), torch.full((4,), math.sqrt(2 / outgoing)), rtol=0.05, atol=0)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("progress", [0.0, 0.1, 1.0])
def test_it_starts_from_a_depthwise_convolution_at_any_temperature(stride, progress):
    depthwise, module, x = Depthwise(6, stride), DYConv(6, stride), noise(3, 6, 5, 4)
    module.start_from(depthwise.weight)
    module.on_step(progress)
    torch.testing.assert_close(module(x), depthwise(x), check_stride=False, rtol=1e-4, atol=1e-5)


def test_experts_which_start_alike_part_and_the_attention_learns_then():
    torch.manual_seed(0)
    module, x = DYConv(6), noise(8, 6, 5, 4) + 1
    module.start_from(noise(6, 1, 3, 3))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    gradients = []
    for _ in range(2):
        optimizer.zero_grad()
        module(x).square().mean().backward()
        gradients.append(module.logits.weight.grad.abs().max().item())
        optimizer.step()
    assert gradients[0] < 1e-3 * gradients[1]
    assert module.experts.std(dim=0).max() > 0


def test_filters_of_another_kernel_size_are_not_taken():
    with pytest.raises(RuntimeError, match="shape"):
        build(kernel_size=3).start_from(noise(6, 1, 5, 5))


@pytest.mark.parametrize("kind", ["depthwise", "pointwise"])
def test_gradients_are_the_numerical_ones(kind):
    module, x = build(kind, experts=2).double(), noise(2, 6, 3, 2, dtype=torch.float64).requires_grad_()
    parameters = dict(module.named_parameters())

    def apply(x, *values):
        return torch.func.functional_call(module, dict(zip(parameters, values, strict=True)), x)

    assert torch.autograd.gradcheck(apply, (x, *parameters.values()))


# The temperature.


def test_temperature_falls_linearly_to_one_over_the_first_share_of_the_training():
    module = DYConv(4, initial_temperature=31.0, annealing_share=0.25)
    assert module.temperature == 31
    seen = []
    for progress in (0.0, 0.125, 0.2, 0.25, 0.5, 1.0):
        module.on_step(progress)
        seen.append(module.temperature.item())
    assert seen == pytest.approx([31, 16, 7, 1, 1, 1])


def test_temperature_is_in_the_checkpoint_and_starts_anew_with_the_weights():
    one, other = build(), DYConv(6)
    one.on_step(0.1)
    other.load_state_dict(one.state_dict())
    assert other.temperature == one.temperature != 30
    assert torch.equal(one(noise(2, 6, 5, 4)), other(noise(2, 6, 5, 4)))
    other.reset_parameters()
    assert other.temperature == 30


def test_the_initial_temperature_of_one_stays():
    module = DYConv(4, initial_temperature=1)
    for progress in (0.0, 0.1, 1.0):
        module.on_step(progress)
        assert module.temperature == 1


# The operator of the pointwise convolutions.


def test_pointwise_form_keeps_the_depthwise_convolution_and_changes_both_1x1_of_each_block():
    torch.manual_seed(0)
    one, other = (MobileNetV2(0.1, DYConvPointwise(kernel_size=5), (32, 32), 8) for _ in range(2))
    kinds = [type(module) for module in one.modules()]
    assert (kinds.count(Depthwise), kinds.count(DynamicPointwise)) == (17, 2 * 17 - 1)
    assert all(module.kernel_size == (5, 5) for module in one.modules() if isinstance(module, Depthwise))
    images = noise(4, 3, 32, 32)
    (one(images) * noise(4, 8)).sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in one.parameters())
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.eval()(images), other.eval()(images))


def test_pointwise_form_passes_its_options_on():
    module = DYConvPointwise(experts=3, reduction=2, initial_temperature=9.0, annealing_share=0.5).make_pointwise(6, 4)
    assert module.experts.shape == (3, 24)
    assert module.hidden.out_features == 4
    assert (module.temperature, module.annealing_share) == (9, 0.5)


# Cost.


@pytest.mark.parametrize(("experts", "reduction", "hidden"), [(4, 4, 1), (8, 2, 2), (2, 1, 4)])
def test_cost_is_the_convolution_plus_attention_and_mixing(experts, reduction, hidden):
    linear = 3 * hidden + hidden * experts
    options = {"experts": experts, "reduction": reduction}
    for module, filters, positions in [
        (DYConv(3, 2, **options), 9 * 3, 12),
        (DYConvPointwise(**options).make_pointwise(3, 7), 3 * 7, 48),
    ]:
        cost = measure_cost(module, (8, 6))
        assert cost.macs_core == filters * positions + linear + experts * filters
        assert cost.params == linear + experts + experts * filters


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"experts": 0}, ("experts", "1", "0")),
        ({"reduction": 0.5}, ("reduction", "1", "0.5")),
        *[
            (
                {"initial_temperature": value},
                ("initial_temperature", "finite", "1", f"{value}"),
            )
            for value in (0, -30, math.inf, math.nan)
        ],
        *[
            (
                {"annealing_share": value},
                ("annealing_share", "1", f"{value}"),
            )
            for value in (0, -0.1, 1.5)
        ],
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["depthwise", "pointwise"])
def test_an_argument_out_of_its_values_is_refused_in_a_sentence(arguments, facts, kind):
    with refuses(*facts):
        build(kind, **arguments)
