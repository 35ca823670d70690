"""A network without its BatchNorms computes what it computed with them."""

import copy

import pytest
import torch
from random_weights import randomise
from torch import nn

from facerec.backbones import MobileNetV2, ShuffleNetV2
from facerec.deploy import reparameterize
from facerec.exporting.folding import fold_batch_norms
from facerec.operators.common.position_dependent_base import PositionDependentConv
from facerec.operators.tvconv import TVConv

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def folds(network: nn.Module, x: torch.Tensor) -> nn.Module:
    """The folded network, which gives the same."""
    network = randomise(network).eval()
    folded = fold_batch_norms(copy.deepcopy(network))
    torch.testing.assert_close(folded(x), network(x), rtol=1e-4, atol=1e-5)
    return folded


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, NORMS) for module in network.modules())


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_behind_a_convolution_and_a_linear_layer(affine, bias):
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=bias),
        nn.BatchNorm2d(4, affine=affine),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, groups=4, bias=bias),
        nn.BatchNorm2d(4, affine=affine),
        nn.Flatten(),
        nn.Linear(4, 5, bias=bias),
        nn.BatchNorm1d(5, affine=affine),
    )
    assert norms(folds(network, noise(2, 3, 5, 5))) == 0


@pytest.mark.parametrize("bias", [None, noise(3, 2, 4)], ids=["no bias", "bias"])
def test_behind_weights_that_change_with_the_position(bias):
    network = nn.Sequential(PositionDependentConv(noise(9, 3, 2, 4), bias, stride=2), nn.BatchNorm2d(4))
    assert norms(folds(network, noise(2, 4, 6, 4))) == 0


def test_in_front_of_an_average_and_a_linear_layer():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(3, 2), nn.BatchNorm1d(2))
    folded = folds(network, noise(5, 3, 4, 4))
    assert [type(layer) for layer in folded.children()] == [nn.AvgPool2d, nn.Flatten, nn.Linear]


def test_not_behind_what_is_no_weight():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4))
    assert norms(folds(network, noise(2, 3, 5, 5))) == 1


@pytest.mark.parametrize("backbone", [MobileNetV2, ShuffleNetV2])
def test_none_is_left_in_the_networks_of_the_project(backbone):
    torch.manual_seed(0)
    network = backbone(
        0.1,
        lambda channels, stride, out_size: TVConv(channels, stride, out_size, generator_channels=4, generator_layers=1),
        (36, 20),
        embedding_dim=16,
    )
    assert norms(folds(reparameterize(randomise(network)), noise(2, 3, 36, 20))) == 0
