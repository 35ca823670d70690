"""Networks whose first values come from the training images."""

import pytest
import torch
from torch import nn

from facerec.backbones import MobileNetV2
from facerec.operators.tvconv import TVConv
from facerec.training.maps import initialise_from_data


class Data:
    """Stands in for the data module: maps with a ramp from left to right."""

    def __init__(self):
        self.asked = 0

    def position_statistics(self, cache):
        self.asked += 1
        ramp = torch.linspace(-1, 1, 32).expand(2, 3, 32, 32).clone()
        ramp[1] = ramp[1].flip(-1) * 0.1
        return ramp


def maps(network):
    return [module.affinity_maps for module in network.modules() if isinstance(module, TVConv)]


@pytest.fixture
def build(tmp_path):
    def network(**options):
        def operator(channels, stride=1, out_size=(96, 96)):
            return TVConv(channels, stride, out_size, generator_channels=4, generator_layers=0, **options)

        return MobileNetV2(0.1, operator, (32, 32), embedding_dim=8)

    return network


def test_every_layer_starts_from_the_data_at_its_own_size_and_the_data_are_asked_once(build, tmp_path):
    network, data = build(map_init="data", affinity_channels=2), Data()
    initialise_from_data(network, data, tmp_path)
    assert data.asked == 1
    for first, second in (layer[0] for layer in maps(network)):
        assert torch.allclose(first.mean(), torch.ones(()), atol=1e-4)
        assert (first.diff(dim=1) > 0).all() and (second.diff(dim=1) < 0).all()


def test_nothing_is_read_for_a_network_that_starts_from_a_constant(build, tmp_path):
    network, data = build(), Data()
    initialise_from_data(network, data, tmp_path)
    assert data.asked == 0
    assert all((layer == 1).all() for layer in maps(network))
    initialise_from_data(nn.Conv2d(3, 3, 1), data, tmp_path)
    assert data.asked == 0
