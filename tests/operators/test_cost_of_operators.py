"""What a MobileNetV2 of each operator costs: core multiply-adds and parameters against the formulas of the papers.

Each formula is written for one layer of C channels, n_in positions before and n_out after it, in a block of ``a`` to
``b`` channels; the network's layers are those of table 2 of arXiv 1801.04381 at 96 x 96.
"""

from functools import partial
from typing import NamedTuple

import pytest
from torch import nn

from facerec.backbones import MobileNetV2
from facerec.cost import measure_cost
from facerec.operators.axial import AxialAttention
from facerec.operators.condconv import condconv
from facerec.operators.ddf import DDF
from facerec.operators.deformable_conv import DeformableConv
from facerec.operators.depthwise import Depthwise
from facerec.operators.dyconv import DYConv, DYConvPointwise
from facerec.operators.involution import Involution
from facerec.operators.partial_conv import PartialConv
from facerec.operators.sasa import SASA
from facerec.operators.squeeze_excitation import SqueezeExcitation
from facerec.operators.weightnet import WeightNet

WIDTHS = (0.1, 0.2, 0.3, 0.5, 1.0)


class Layer(NamedTuple):
    stage: int
    c: int
    n_in: int
    n_out: int
    side: int  # of the map before
    a: int
    b: int


def layers(width):
    def rounded(channels):
        to_8 = max(8, int(channels + 4) // 8 * 8)
        return to_8 + 8 if to_8 < 0.9 * channels else to_8

    rows = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    a, side, found = rounded(32 * width), 96, []
    for stage, (expansion, channels, blocks, stride) in enumerate(rows, start=1):
        for block in range(blocks):
            step, b = stride if block == 0 else 1, rounded(channels * width)
            found.append(Layer(stage, a * expansion, side**2, (side // step) ** 2, side, a, b))
            a, side = b, side // step
    return found


# For each operator: itself, the multiply-adds of a layer, and its parameters.
def per_expert(la):
    """Numbers of the three convolutions of a block, or two where it does not expand."""
    return (la.a * la.c if la.stage > 1 else 0) + 9 * la.c + la.c * la.b


def pointwise(la):
    """(channels before, after, positions) of the block's 1x1 convolutions."""
    return [(la.a, la.c, la.n_in)] * (la.stage > 1) + [(la.c, la.b, la.n_out)]


def dyconv_hidden(channels):
    return channels // 4 + 1


FORMULAS = {
    "condconv": (
        condconv(),
        lambda la: 9 * la.c * la.n_out + 4 * la.c + 4 * 9 * la.c,
        lambda la: 4 * 9 * la.c + 4 * la.c + 4,
    ),
    "condconv-8": (
        condconv(experts=8),
        lambda la: 9 * la.c * la.n_out + 8 * la.c + 8 * 9 * la.c,
        lambda la: 8 * 9 * la.c + 8 * la.c + 8,
    ),
    "condconv-all": (
        condconv(where="all"),
        lambda la: 9 * la.c * la.n_out + 4 * per_expert(la) + 4 * la.a,
        lambda la: 3 * (per_expert(la) - 9 * la.c) + 4 * 9 * la.c + 4 * la.a + 4,
    ),
    "weightnet": (
        WeightNet,
        lambda la: 9 * la.c * la.n_out + la.c * max(16, la.c // 16) + max(16, la.c // 16) * la.c + 9 * la.c,
        lambda la: la.c * max(16, la.c // 16) + max(16, la.c // 16) * (la.c + 1) + la.c + 9 * la.c,
    ),
    "dyconv_dw": (
        DYConv,
        lambda la: 9 * la.c * la.n_out + dyconv_hidden(la.c) * (la.c + 4) + 9 * la.c * 4,
        lambda la: dyconv_hidden(la.c) * (la.c + 4) + 4 + 9 * la.c * 4,
    ),
    "dyconv_pw": (
        DYConvPointwise(),
        lambda la: 9 * la.c * la.n_out + sum(dyconv_hidden(a) * (a + 4) + 4 * a * b for a, b, _ in pointwise(la)),
        lambda la: 9 * la.c + sum(dyconv_hidden(a) * (a + 4) + 4 + 3 * a * b for a, b, _ in pointwise(la)),
    ),
    "involution": (
        Involution,
        lambda la: la.n_out * (la.c**2 // 4 + 9 * la.c**2 // (4 * 8) + 9 * la.c),
        lambda la: la.c**2 // 4 + 2 * la.c // 4 + (la.c // 4 + 1) * 9 * la.c // 8,
    ),
    "involution-7": (
        partial(Involution, kernel_size=7),
        lambda la: la.n_out * (la.c**2 // 4 + 49 * la.c**2 // (4 * 8) + 49 * la.c),
        lambda la: la.c**2 // 4 + 2 * la.c // 4 + (la.c // 4 + 1) * 49 * la.c // 8,
    ),
    "ddf": (
        DDF,
        lambda la: 27 * la.c * la.n_out + int(0.2 * la.c) * (la.c + 9 * la.c),
        lambda la: 9 * la.c + 9 + int(0.2 * la.c) * (la.c + 1) + int(0.2 * la.c) * 9 * la.c + 9 * la.c + 9 * la.c,
    ),
    "sasa": (
        SASA,
        lambda la: la.n_in * (3 * la.c**2 + 3 * 49 * la.c) if la.stage >= 5 else 9 * la.c * la.n_out,
        lambda la: 3 * la.c**2 + 7 * la.c if la.stage >= 5 else 9 * la.c,
    ),
    "sasa-grouped": (
        partial(SASA, qkv_groups=8),
        lambda la: la.n_in * (3 * la.c**2 // 8 + 3 * 49 * la.c) if la.stage >= 5 else 9 * la.c * la.n_out,
        lambda la: 3 * la.c**2 // 8 + 7 * la.c if la.stage >= 5 else 9 * la.c,
    ),
    "axial": (
        AxialAttention,
        lambda la: la.n_in * (4 * la.c**2 + 7 * la.side * la.c) if la.stage >= 5 else 9 * la.c * la.n_out,
        lambda la: (
            2 * (2 * la.c**2 + 8 * la.c + 3 * 8 + 2 * la.c // 8 * (2 * la.side - 1)) if la.stage >= 5 else 9 * la.c
        ),
    ),
    "squeeze_excitation": (
        SqueezeExcitation,
        lambda la: 9 * la.c * la.n_out + 2 * la.c * (la.c // 4) + la.c * la.n_out,
        lambda la: 9 * la.c + 2 * la.c * (la.c // 4) + la.c // 4 + la.c,
    ),
    "partial_conv": (
        PartialConv,
        lambda la: 9 * (la.c // 4) ** 2 * la.n_out,
        lambda la: 9 * (la.c // 4) ** 2,
    ),
    "deformable_conv": (
        DeformableConv,
        lambda la: la.n_out * la.c * (9 * 27 + 6 * 9),
        lambda la: 9 * la.c + 9 * 27 * la.c + 27,
    ),
}
# "M multiply-adds / M parameters" as the design predicts them: the paper's count of the depthwise network with the
# core arithmetic of the operator in the place of the depthwise one's.
PREDICTED = {
    "condconv": ["22.52 / 0.358", "28.06 / 0.457", "44.30 / 0.603", "74.17 / 0.940", "226.01 / 2.463"],
    "condconv-8": ["22.56 / 0.400", "28.13 / 0.524", "44.40 / 0.702", "74.32 / 1.085", "226.29 / 2.748"],
    "condconv-all": ["22.63 / 0.438", "28.39 / 0.700", "45.00 / 1.130", "75.89 / 2.222", "232.85 / 7.584"],
    "weightnet": ["22.52 / 0.360", "28.07 / 0.460", "44.31 / 0.612", "74.22 / 0.991", "226.36 / 2.824"],
    "dyconv_dw": ["22.53 / 0.375", "28.12 / 0.509", "44.41 / 0.718", "74.45 / 1.217", "227.12 / 3.576"],
    "dyconv_pw": ["22.61 / 0.432", "28.39 / 0.715", "45.04 / 1.190", "76.05 / 2.423", "233.76 / 8.563"],
    "involution": ["33.54 / 0.358", "44.75 / 0.511", "75.59 / 0.762", "137.32 / 1.405", "454.23 / 4.586"],
    "involution-7": ["77.73 / 0.462", "104.45 / 0.799", "177.34 / 1.371", "322.84 / 2.843", "1059.54 / 10.26"],
    "ddf": ["30.80 / 0.497", "37.57 / 0.874", "57.69 / 1.512", "92.76 / 3.157", "265.17 / 11.38"],
    "sasa": ["46.60 / 0.496", "84.29 / 0.948", "146.60 / 1.664", "300.52 / 3.754", "1074.84 / 13.95"],
    "sasa-grouped": ["32.67 / 0.345", "46.84 / 0.470", "73.44 / 0.666", "127.21 / 1.189", "381.60 / 3.697"],
    "axial": ["47.77 / 0.566", "91.59 / 1.150", "164.67 / 2.072", "351.52 / 4.774", "1308.89 / 17.95"],
}
# The shifts of the logits' normalisation, which the prediction has and the operator leaves out, as they have no effect.
PREDICTED_BESIDE = {"axial": 7 * 2 * 3 * 8}


@pytest.fixture(scope="module")
def depthwise():
    return {width: measure_cost(MobileNetV2(width), (96, 96)) for width in WIDTHS}


@pytest.fixture
def unfilled(monkeypatch):
    """Networks without initial values, which counting does not read."""
    for fill in ("kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_"):
        monkeypatch.setattr(nn.init, fill, lambda tensor, *_, **__: tensor.data.zero_())


@pytest.mark.parametrize("name", FORMULAS)
def test_a_network_costs_the_formulas_over_its_layers(name, depthwise, unfilled):
    operator, macs, params = FORMULAS[name]
    for width in (0.1, 1.0):
        cost, base = measure_cost(MobileNetV2(width, operator), (96, 96)), depthwise[width]
        replaced = layers(width)
        assert cost.macs_core - base.macs_core == sum(macs(la) - 9 * la.c * la.n_out for la in replaced)
        assert cost.params - base.params == sum(params(la) - 9 * la.c for la in replaced)
        assert cost.params == cost.params_deployed and cost.weight_map_elements == cost.macs_once == 0


@pytest.mark.parametrize("name", PREDICTED)
def test_the_formulas_give_what_the_design_predicts(name, depthwise):
    _, macs, params = FORMULAS[name]
    for width, printed in zip(WIDTHS, PREDICTED[name], strict=True):
        base, replaced = depthwise[width], layers(width)
        total = base.macs_paper + sum(macs(la) - 9 * la.c * la.n_out for la in replaced)
        numbers = base.params + sum(params(la) - 9 * la.c for la in replaced) + PREDICTED_BESIDE.get(name, 0)
        assert f"{total / 1e6:.2f}" == printed.split(" / ")[0]
        digits = len(printed.split(".")[-1])
        assert f"{numbers / 1e6:.{digits}f}" == printed.split(" / ")[1]


def test_the_layers_are_those_of_the_network():
    called = []

    def spy(channels, stride=1, out_size=(96, 96)):
        called.append((channels, out_size[0] * out_size[1]))
        return Depthwise(channels, stride)

    for width in WIDTHS:
        MobileNetV2(width, spy)
        assert called == [(la.c, la.n_out) for la in layers(width)]
        called.clear()
