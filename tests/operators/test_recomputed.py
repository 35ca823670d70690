"""Blocks that are computed again in the backward pass give the bits of those whose maps are kept."""

import copy

import pytest
import torch
from operator_files import FILES, operator
from torch import nn

from facerec.backbones import MobileNetV2
from facerec.backbones.iresnet import IResNet
from facerec.backbones.mlp_mixer import MLPMixer
from facerec.backbones.timm_network import TimmNetwork
from facerec.operators.common import fused_sequence
from facerec.operators.common.fused_sequence import FusedSequence, recompute_blocks
from facerec.operators.depthwise import Depthwise

SIZE = {"image_size": (32, 32), "embedding_dim": 8}
NETWORKS = {
    **{file.stem: lambda file=file: MobileNetV2(0.1, operator(file), **SIZE) for file in FILES},
    "IResNet": lambda: IResNet(0.1, depth=18, **SIZE),
    "MLPMixer": lambda: MLPMixer(0.1, blocks=2, **SIZE),
    "timm": lambda: TimmNetwork("lcnet_050", **SIZE),
}


@pytest.fixture(autouse=True)
def small_maps_are_fused(monkeypatch):
    monkeypatch.setattr(fused_sequence, "LEAST_ELEMENTS", 0)


def steps(network):
    """Output and gradients of a second step, and the state after it."""
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    for _ in range(2):
        network.zero_grad()
        out = network(images.to(memory_format=torch.channels_last))
        out.square().mean().backward()
    return [out.detach(), *(p.grad for p in network.parameters()), *network.state_dict().values()]


@pytest.mark.parametrize("name", NETWORKS)
def test_output_gradients_and_state_are_the_same_bit_for_bit(name):
    torch.manual_seed(0)
    network = NETWORKS[name]().to(memory_format=torch.channels_last)
    again = copy.deepcopy(network)
    assert recompute_blocks(again) > 1
    for ours, theirs in zip(steps(again), steps(network), strict=True):
        assert torch.equal(ours, theirs)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers, self.calls = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5)), 0

    def forward(self, x):
        self.calls += 1
        return self.layers(x)


def test_each_block_is_computed_twice_in_training_and_once_without_a_gradient():
    network, x = FusedSequence(Block(), nn.ReLU(), FusedSequence(Block())), torch.randn(2, 2, 4, 4)
    assert recompute_blocks(network) == 2
    network(x).sum().backward()
    assert [network[0].calls, network[2][0].calls] == [2, 2]
    assert network[0].layers[1].num_batches_tracked == 1
    with torch.no_grad():
        network(x)
    assert network[0].calls == 3
    assert recompute_blocks(network, False) == 2
    network(x).sum().backward()
    assert network[0].calls == 4


def kept_bytes(network, images):
    """Bytes of the tensors that are alive after a forward pass and were not before."""
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        out = network(images)
    assert out.requires_grad
    return sum(event.self_cpu_memory_usage for event in profile.key_averages())


def test_less_is_kept_than_where_norms_are_made_again(monkeypatch):
    network = MobileNetV2(0.1, Depthwise, **SIZE).to(memory_format=torch.channels_last)
    images = torch.randn(4, 3, 32, 32).to(memory_format=torch.channels_last)
    before = kept_bytes(network, images)
    recompute_blocks(network)
    assert kept_bytes(network, images) < 0.5 * before


def test_a_network_without_blocks_has_none():
    assert recompute_blocks(nn.Sequential(nn.Linear(2, 2), nn.ReLU())) == 0
