"""What an operator may say beside making the spatial convolution: pointwise convolutions, what a block shares, its
stages."""

from functools import partial

import pytest
import torch
from torch import nn

from facerec.backbones import MobileNetV2, ShuffleNetV2
from facerec.operators.base import OperatorFactory
from facerec.operators.depthwise import Depthwise

BACKBONES = pytest.mark.parametrize("backbone", [MobileNetV2, ShuffleNetV2])


class Pointwise(nn.Conv2d):
    def __init__(self, in_channels, out_channels):
        super().__init__(in_channels, out_channels, 1, bias=False)


class Block(nn.Module):
    """Notes the input of a block, and what its layers are."""

    def __init__(self, in_channels, layers):
        super().__init__()
        self.in_channels, self.layers = in_channels, layers

    def forward(self, x):
        assert x.shape[1] == self.in_channels
        return self.layers(x)


WHOLE_BLOCK = OperatorFactory(Depthwise, Pointwise, Block)


class LastTwo(Depthwise):
    default_last_stages = 2


def of_kind(network, kind):
    return [module for module in network.modules() if isinstance(module, kind)]


@pytest.mark.parametrize(
    ("backbone", "blocks", "channels"),
    [
        # The first block does not expand; each later one has two pointwise convolutions.
        (MobileNetV2, 17, [(8, 8), (8, 48), (48, 8)]),
        # A unit with stride 2 has two branches, the shortcut with one pointwise convolution.
        (ShuffleNetV2, 16 + 3, [(24, 24), (24, 24), (24, 24)]),
    ],
)
def test_every_pointwise_convolution_of_a_block_and_no_other_is_the_operators(backbone, blocks, channels):
    width = {MobileNetV2: 0.1, ShuffleNetV2: 0.5}[backbone]
    network = backbone(width, WHOLE_BLOCK, (32, 32), embedding_dim=8)
    own = of_kind(network, Pointwise)
    ordinary = [conv for conv in of_kind(network, nn.Conv2d) if conv.kernel_size == (1, 1) and conv not in own]
    assert len(ordinary) == 1  # the one before the embedding
    assert len(own) == 2 * 16 + 1 if backbone is MobileNetV2 else 2 * 16 + 3
    assert [(conv.in_channels, conv.out_channels) for conv in own[:3]] == channels
    assert len(of_kind(network, Block)) == blocks
    assert all(isinstance(block.layers, nn.Sequential) for block in of_kind(network, Block))
    assert network.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 8)


@BACKBONES
def test_a_block_is_asked_with_the_channels_of_its_own_input(backbone):
    network = backbone(0.5, WHOLE_BLOCK, (32, 32), embedding_dim=8).eval()
    network(torch.zeros(1, 3, 32, 32))  # Block compares them


@BACKBONES
def test_stages_without_the_operator_keep_ordinary_pointwise_convolutions(backbone):
    network = backbone(0.5, WHOLE_BLOCK, (32, 32), operator_stages=[4])
    assert len(of_kind(network, Pointwise)) == {MobileNetV2: 8, ShuffleNetV2: 9}[backbone]


@BACKBONES
@pytest.mark.parametrize("operator", [LastTwo, partial(LastTwo, kernel_size=3)], ids=["class", "partial"])
def test_an_operator_may_say_in_how_many_last_stages_it_stands(backbone, operator):
    every, last = {MobileNetV2: (range(1, 8), [6, 7]), ShuffleNetV2: (range(2, 5), [3, 4])}[backbone]
    networks = (backbone(0.5, operator, (32, 32), operator_stages=stages) for stages in (None, last, every))
    count = [len(of_kind(network, LastTwo)) for network in networks]
    assert count == {MobileNetV2: [4, 4, 17], ShuffleNetV2: [14, 14, 19]}[backbone]
