"""Squeeze-and-excitation against timm's module on a convolution's result, and what follows from its equations."""

import pytest
import torch
import torch.nn.functional as F
from random_weights import randomise
from says import refuses
from timm.layers.squeeze_excite import SEModule

from facerec.operators.squeeze_excitation import SqueezeExcitation


def operator(channels=8, stride=1, seed=0, **arguments) -> SqueezeExcitation:
    torch.manual_seed(seed)
    return SqueezeExcitation(channels, stride, **arguments)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("channels", "reduction", "hidden"), [(8, 4, 2), (10, 4, 2), (3, 4, 1), (6, 1, 6)])
def test_it_is_a_depthwise_convolution_followed_by_timms_module(channels, reduction, hidden, stride):
    module, x = randomise(operator(channels, stride, reduction=reduction, kernel_size=5)), noise(2, channels, 7, 5)
    theirs = SEModule(channels, rd_channels=hidden)
    for layer, linear in ((theirs.fc1, module.squeeze), (theirs.fc2, module.excite)):
        layer.load_state_dict({"weight": linear.weight[:, :, None, None], "bias": linear.bias})
    convolved = F.conv2d(x, module.conv.weight, stride=stride, padding=2, groups=channels)
    torch.testing.assert_close(module(x), theirs(convolved))


def test_the_convolved_channels_are_rescaled_as_wholes_by_the_image():
    module, x = operator(4), noise(2, 4, 6, 6)
    ratio = module(x) / module.conv(x)
    assert ((ratio > 0) & (ratio < 1)).all()
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio))
    assert (ratio[0] - ratio[1]).abs().max() > 1e-3
    assert (ratio[:, 0] - ratio[:, 1]).abs().max() > 1e-3


def test_where_the_pixels_are_does_not_matter_to_the_gate():
    module, convolved = operator(), noise(2, 8, 6, 6)
    torch.testing.assert_close(module.gate(convolved.flip(2)), module.gate(convolved))


def test_under_autocast_the_gate_is_float32():
    module = operator()
    with torch.autocast("cpu", torch.bfloat16):
        assert module.gate(noise(2, 8, 6, 6).bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("stride", [1, 2])
def test_it_starts_from_a_depthwise_convolution_exactly_and_leaves_it_in_training(stride):
    module, x, weight = operator(stride=stride), noise(2, 8, 7, 5), noise(8, 1, 3, 3, seed=1)
    module.start_from(weight)
    assert torch.equal(module(x), F.conv2d(x, weight, stride=stride, padding=1, groups=8))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        module(x).square().sum().backward()
        optimizer.step()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in module.parameters())


def test_gradients_agree_with_differences():
    module, x = operator(4, 2).double(), noise(2, 4, 5, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda image, *_: module(image), (x, *module.parameters()))


def test_it_counts_the_convolution_both_layers_and_the_rescaling():
    x = noise(1, 8, 7, 5)
    assert operator(8, 2).count_macs(x, torch.zeros(1, 8, 4, 3)) == 9 * 8 * 12 + 2 * 8 * 2 + 8 * 12


def test_it_resets_what_it_holds():
    module = operator()
    before = [parameter.detach().clone() for parameter in module.parameters()]
    module.reset_parameters()
    assert not any(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


def test_a_reduction_of_0_is_refused():
    with refuses("reduction", "1", "0"):
        operator(reduction=0)
