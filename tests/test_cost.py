"""Counts: by hand for a small network, and to the last digit for the rows of the TVConv paper."""

import copy
from dataclasses import astuple
from typing import NamedTuple

import pytest
import torch
from says import refuses
from torch import nn

from facerec.backbones import MobileNetV2, ShuffleNetV2
from facerec.cost import Cost, measure_cost
from facerec.operators.base import SpatialOperator
from facerec.operators.depthwise import Depthwise
from facerec.operators.tvconv import TVConv


class Row(NamedTuple):
    """A network of the paper at 96x96: its MACs by the paper's convention and without what is not a convolution, its
    parameters, and the cached weights of TVConv."""

    backbone: type[nn.Module]
    width: float
    published_millions: str
    macs_paper: int
    macs_core: int
    params_depthwise: int
    params_tvconv: int
    params_tvconv_deployed: int
    weight_map_elements: int
    generator_giga: str


PAPER = [
    Row(MobileNetV2, 0.1, "22.47", 22_474_240, 18_023_680, 324_672, 16_369_368, 315_096, 4_084_992, "4.239"),
    Row(MobileNetV2, 0.2, "28.00", 27_996_928, 23_187_520, 404_352, 19_678_248, 389_160, 4_567_104, "4.516"),
    Row(MobileNetV2, 0.3, "44.20", 44_200_960, 38_127_232, 526_656, 23_816_352, 504_480, 6_272_640, "5.499"),
    Row(MobileNetV2, 0.5, "74.03", 74_028_544, 66_260_224, 827_968, 30_079_264, 795_424, 8_232_192, "6.628"),
    Row(MobileNetV2, 1.0, "225.72", 225_723_904, 211_451_392, 2_241_280, 49_708_576, 2_177_056, 15_220_224, "10.653"),
    Row(ShuffleNetV2, 0.5, "31.95", 31_951_232, 29_509_760, 869_664, 10_602_984, 860_376, 1_337_472, "1.262"),
    Row(ShuffleNetV2, 1.0, "110.53", 110_527_136, 106_234_976, 1_781_476, 18_904_696, 1_759_336, 3_055_968, "2.252"),
    Row(ShuffleNetV2, 1.5, "222.99", 222_989_696, 217_064_576, 3_006_496, 26_650_216, 2_973_016, 4_572_288, "3.125"),
]
rows = pytest.mark.parametrize("row", PAPER, ids=lambda row: f"{row.backbone.__name__}-{row.width}")


@pytest.fixture
def unfilled(monkeypatch):
    """Networks without initial values, which counting does not read."""
    for name in ("kaiming_normal_", "kaiming_uniform_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *_, **__: tensor.data.zero_())


@rows
def test_depthwise_costs_what_the_paper_prints(row, unfilled):
    cost = measure_cost(row.backbone(row.width), (96, 96))
    assert cost == Cost(row.macs_paper, row.macs_core, row.params_depthwise, row.params_depthwise, 0, 0)
    assert f"{cost.macs_paper / 1e6:.2f}" == row.published_millions


@rows
def test_tvconv_costs_the_same_multiply_adds_and_its_weight_maps(row, unfilled):
    cost = measure_cost(row.backbone(row.width, TVConv), (96, 96))
    macs, params = (row.macs_paper, row.macs_core), (row.params_tvconv, row.params_tvconv_deployed)
    assert cost == Cost(*macs, *params, row.weight_map_elements, cost.macs_once)
    assert f"{cost.macs_once / 1e9:.3f}" == row.generator_giga


def by_itself(module, channels, size=(6, 4)):
    """Cost of one module on (1, channels, *size), behind a 1x1 convolution that brings the image to its channels."""
    conv = nn.Conv2d(3, channels, 1, bias=False)
    with_it, without = (measure_cost(nn.Sequential(conv, *modules), size) for modules in ([module], []))
    return Cost(*(a - b for a, b in zip(astuple(with_it), astuple(without), strict=True)))


@pytest.mark.parametrize(
    ("module", "core", "extra", "params"),
    [
        (nn.Conv2d(4, 6, 3, padding=1, bias=False), 24 * 6 * 4 * 9, 0, 6 * 4 * 9),
        (nn.Conv2d(4, 6, 3, stride=2, padding=1), 6 * 6 * 4 * 9, 6 * 6, 6 * 4 * 9 + 6),
        (nn.Conv2d(4, 6, 1, groups=2), 24 * 6 * 2, 24 * 6, 6 * 2 + 6),
        (nn.BatchNorm2d(4), 0, 2 * 24 * 4, 8),
        (nn.ReLU(), 0, 24 * 4, 0),
        (nn.ReLU6(), 0, 24 * 4, 0),
        (nn.MaxPool2d(2), 0, 24 * 4, 0),
        (nn.AvgPool2d((6, 4)), 0, 24 * 4, 0),
        (nn.Sequential(nn.Flatten(), nn.Linear(96, 5)), 96 * 5, 5, 96 * 5 + 5),
        (nn.Sequential(nn.Flatten(), nn.BatchNorm1d(96)), 0, 2 * 96, 2 * 96),
        (nn.Dropout(), 0, 0, 0),
        (Depthwise(4), 24 * 4 * 9, 0, 36),
        (Depthwise(4, 2, kernel_size=5), 6 * 4 * 25, 0, 100),
        (nn.Sequential(nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU()))), 0, 2 * 24 * 4, 0),
    ],
    ids=str,
)
def test_each_kind_of_layer_is_counted_by_its_rule(module, core, extra, params):
    assert by_itself(module, 4) == Cost(core + extra, core, params, params, 0, 0)


@pytest.mark.parametrize(("stride", "out_size", "kernel_size"), [(1, (6, 4), 3), (2, (3, 2), 3), (1, (6, 4), 5)])
def test_tvconv_is_counted_in_its_inference_form(stride, out_size, kernel_size):
    module = TVConv(4, stride, out_size, kernel_size=kernel_size, generator_channels=2, generator_layers=0)
    elements = kernel_size**2 * 4 * out_size[0] * out_size[1]
    generator = 9 * (4 * 2 + 2 * kernel_size**2 * 4)
    cost = by_itself(module, 4)
    assert cost == Cost(
        elements,
        elements,
        sum(p.numel() for p in module.parameters()),
        0,
        elements,
        generator * out_size[0] * out_size[1],
    )


def test_the_bias_of_tvconv_counts_like_that_of_a_convolution():
    convolution = by_itself(Depthwise(4, bias=True), 4)
    cost = by_itself(TVConv(4, 1, (6, 4), bias=True, generator_channels=2), 4)
    assert cost.weight_map_elements == 24 * 4 * (9 + 1)
    assert (cost.macs_paper, cost.macs_core) == (convolution.macs_paper, convolution.macs_core)


def test_a_module_that_counts_itself_is_not_entered():
    class Counted(SpatialOperator):
        def __init__(self):
            super().__init__()
            self.inside = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            return self.inside(x)

        def count_macs(self, x, out):
            return 7 * out.numel()

    assert by_itself(Counted(), 4) == Cost(7 * 96, 7 * 96, 4 * 4 * 9 + 4, 4 * 4 * 9 + 4, 0, 0)


def test_an_activation_that_two_blocks_share_counts_once_a_use():
    relu = nn.ReLU()
    shared, separate = (nn.Sequential(nn.Sequential(a), nn.Sequential(b)) for a, b in ((relu, relu), (relu, nn.ReLU())))
    assert by_itself(shared, 4) == by_itself(separate, 4)


@pytest.mark.parametrize("training", [True, False])
def test_mode_weights_and_hooks_are_left_as_they_were(training):
    network = MobileNetV2(0.1, TVConv, (16, 16)).train(training)
    before = copy.deepcopy(network.state_dict())
    modes = [module.training for module in network.modules()]
    measure_cost(network, (16, 16))
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    assert [module.training for module in network.modules()] == modes
    assert not any(module._forward_hooks for module in network.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())


def test_another_image_size_than_the_networks_is_refused():
    with refuses("16x16", "32x32"):
        measure_cost(MobileNetV2(0.1, TVConv, (16, 16)), (32, 32))
