"""Sequences in which norms are computed with their activations have the modules and the results of ordinary ones."""

import copy

import pytest
import torch
from torch import nn

from facerec.backbones.timm_network import TimmNetwork
from facerec.kernels import norm_activation
from facerec.operators.common import fused_sequence
from facerec.operators.common.fused_sequence import FusedSequence, fuse_sequences, with_shortcut

ACTIVATIONS = [nn.ReLU(inplace=True), nn.ReLU6(), nn.PReLU(4), nn.PReLU(), nn.Hardswish(), nn.SiLU(), nn.Identity()]


def layers(activation):
    torch.manual_seed(0)
    conv, other = nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 3, 1)
    return [conv, nn.BatchNorm2d(4), copy.deepcopy(activation), other, nn.BatchNorm2d(3)]


def images():
    return torch.randn(4, 3, 8, 7, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)


@pytest.fixture(autouse=True)
def small_maps_are_fused(monkeypatch):
    monkeypatch.setattr(fused_sequence, "LEAST_ELEMENTS", 0)


@pytest.fixture
def calls(monkeypatch):
    """The names of the activations that were computed with their norm in machine code."""
    found, forward = [], norm_activation.norm_activation_cpu.forward
    monkeypatch.setattr(
        norm_activation.norm_activation_cpu, "forward", lambda *args: found.append(args[-1]) or forward(*args)
    )
    return found


def trained(network, *shortcut):
    """Output, gradients and state after two steps in training, and the output in evaluation."""
    x = images()
    for _ in range(2):
        network.zero_grad()
        out = network(x, *shortcut)
        out.square().mean().backward()
    gradients = [p.grad.clone() for p in network.parameters()]
    with torch.no_grad():
        return [out, *gradients, *network.state_dict().values(), network.eval()(x, *shortcut)]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: type(a).__name__)
def test_results_gradients_and_state_are_those_of_an_ordinary_sequence(activation, calls):
    ordinary, fused = nn.Sequential(*layers(activation)), FusedSequence(*layers(activation))
    assert fused.state_dict().keys() == ordinary.state_dict().keys()
    expected = trained(ordinary)
    assert not calls
    torch.testing.assert_close(trained(fused), expected, rtol=1e-4, atol=1e-5)
    assert len(calls) == 6 and calls[1] == "none"
    assert calls[0] == type(activation).__name__.lower().replace("identity", "none")


def test_a_shortcut_is_added():
    fused, shortcut = FusedSequence(*layers(nn.ReLU6())), torch.randn(4, 3, 6, 5)
    x, other = images(), copy.deepcopy(fused)
    torch.testing.assert_close(fused(x, shortcut), nn.Sequential(*other)(x) + shortcut)
    torch.testing.assert_close(with_shortcut(fused, x, shortcut), fused(x) + shortcut)
    bare = FusedSequence(nn.Conv2d(3, 3, 1))
    torch.testing.assert_close(bare(x, x), bare(x) + x)


@pytest.mark.parametrize("index", [1, 2])
def test_a_module_with_a_hook_is_called(index, calls):
    fused, seen = FusedSequence(*layers(nn.ReLU6())), []
    fused[index].register_forward_hook(lambda module, inputs, out: seen.append((inputs[0].clone(), out.clone())))
    fused(images())
    assert len(seen) == 1 and "relu6" not in calls
    ((given, out),) = seen
    if index == 2:
        assert torch.equal(out, given.clamp(0, 6)) and given.min() < 0
    else:
        assert out.mean().abs() < 1e-5


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(4, affine=False), nn.BatchNorm2d(4, momentum=None),
                                  nn.BatchNorm2d(4, track_running_stats=False), nn.InstanceNorm2d(4)], ids=str)  # fmt: skip  # noqa: E501
def test_other_norms_are_called_by_themselves(norm, calls):
    sequence = [layers(nn.ReLU())[0], norm, nn.ReLU()]
    ordinary, fused = nn.Sequential(*copy.deepcopy(sequence)), FusedSequence(*sequence)
    torch.testing.assert_close(trained(fused), trained(ordinary))
    assert not calls


def test_every_ordinary_sequence_is_turned_into_a_fused_one():
    class Part(nn.Sequential):
        pass

    network = nn.ModuleDict({"a": nn.Sequential(nn.Sequential(nn.ReLU()), Part(nn.ReLU())), "b": nn.ReLU()})
    network["a"].eval()
    names = [name for name, _ in network.named_modules()]
    fused = fuse_sequences(network)
    assert [name for name, _ in fused.named_modules()] == names
    assert [type(m) for m in fused["a"].modules()] == [FusedSequence, FusedSequence, nn.ReLU, Part, nn.ReLU]
    assert not fused["a"].training and fused.training


def test_a_map_that_is_too_small_is_left_to_the_layers(calls, monkeypatch):
    fused, x = FusedSequence(nn.BatchNorm2d(3), nn.ReLU()), images()
    monkeypatch.setattr(fused_sequence, "LEAST_ELEMENTS", x.numel() + 1)
    fused(x)
    assert not calls
    monkeypatch.setattr(fused_sequence, "LEAST_ELEMENTS", x.numel())
    fused(x)
    assert calls == ["relu"]


def test_norms_of_timm_with_an_activation_of_their_own_are_fused(calls, monkeypatch):
    network = TimmNetwork("lcnet_050", image_size=(64, 64), embedding_dim=8).to(memory_format=torch.channels_last)
    other, x = copy.deepcopy(network), torch.randn(4, 3, 64, 64).to(memory_format=torch.channels_last)
    monkeypatch.setattr(fused_sequence, "LEAST_ELEMENTS", 10**9)
    expected = other(x)
    assert not calls
    monkeypatch.setattr(fused_sequence, "LEAST_ELEMENTS", 0)
    torch.testing.assert_close(network(x), expected, rtol=1e-3, atol=1e-3)
    assert len(calls) > 20 and "hardswish" in calls
    torch.testing.assert_close(network.state_dict(), other.state_dict(), rtol=1e-3, atol=1e-3)
