"""The re-parameterised depthwise convolution: its branches, and the one convolution that they become."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from random_weights import randomise
from says import refuses
from torch import nn

from facerec.backbones import MobileNetV2
from facerec.cost import Cost, measure_cost
from facerec.deploy import reparameterize
from facerec.operators.depthwise import Depthwise
from facerec.operators.rep_depthwise import RepDepthwise


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def normalised(x: torch.Tensor, norm: nn.BatchNorm2d) -> torch.Tensor:
    mean, var, scale, offset = (
        vector[:, None, None] for vector in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / (var + norm.eps).sqrt() * scale + offset


@settings(max_examples=25, deadline=None)
@given(
    channels=st.integers(1, 5),
    stride=st.integers(1, 3),
    kernel_size=st.sampled_from([1, 3, 5]),
    branches=st.integers(1, 3),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
)
def test_it_is_the_sum_of_its_branches_and_one_convolution_in_inference(channels, stride, kernel_size, branches, size):
    module = randomise(RepDepthwise(channels, stride, kernel_size=kernel_size, branches=branches)).eval()
    x = noise(2, channels, *size)
    expected = normalised(x, module.identity) if stride == 1 else torch.zeros(())
    for branch in module.branches:
        conv, norm = branch.conv, branch.norm
        padding = conv.weight.shape[-1] // 2
        expected = expected + normalised(F.conv2d(x, conv.weight, None, stride, padding, groups=channels), norm)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)
    fused = reparameterize(module)
    assert type(fused) is Depthwise and not fused.training
    torch.testing.assert_close(fused(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("stride", "kernels"), [(1, [3, 3, 1]), (2, [3, 3, 1])])
def test_only_stride_1_passes_the_input_on(stride, kernels):
    module = RepDepthwise(4, stride, branches=2)
    assert [branch.conv.kernel_size[0] for branch in module.branches] == kernels
    assert (module.identity is not None) == (stride == 1)
    assert sum(p.numel() for p in module.parameters()) == 4 * (9 + 9 + 1 + 2 * 3 + 2 * (stride == 1))


def test_it_costs_what_the_depthwise_convolution_with_a_bias_costs():
    ours, plain = measure_cost(MobileNetV2(0.1, RepDepthwise), (96, 96)), measure_cost(MobileNetV2(0.1), (96, 96))
    channels = sum(m.in_channels for m in MobileNetV2(0.1).modules() if isinstance(m, Depthwise))
    assert (ours.macs_core, ours.macs_once, ours.weight_map_elements) == (plain.macs_core, 0, 0)
    assert ours.params_deployed - plain.params_deployed == channels
    assert isinstance(ours, Cost) and ours.params > plain.params


@pytest.mark.parametrize("stride", [1, 2])
def test_it_takes_a_convolution_over(stride):
    weight, x = noise(4, 1, 3, 3), noise(2, 4, 6, 5)
    module = RepDepthwise(4, stride, branches=2)
    assert module.start_from(weight)
    torch.testing.assert_close(module.eval()(x), F.conv2d(x, weight, None, stride, 1, groups=4), rtol=1e-4, atol=1e-5)


def test_resetting_draws_new_filters_and_forgets_what_was_learned():
    module = randomise(RepDepthwise(8))
    torch.manual_seed(3)
    module.reset_parameters()
    fresh = RepDepthwise(8)
    torch.manual_seed(3)
    fresh.reset_parameters()
    assert all(
        torch.equal(a, b) for a, b in zip(module.state_dict().values(), fresh.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(("option", "value"), [("branches", 0), ("kernel_size", 2), ("branches", 1.5)])
def test_an_option_outside_its_values_is_refused(option, value):
    with refuses(option, str(value)):
        RepDepthwise(4, **{option: value})
