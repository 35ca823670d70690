"""Convolutions and operators that surgery cannot bring together are refused by name, with a remedy."""

import pytest
import torch.nn.functional as F
from says import refuses
from torch import nn

from facerec.operators.base import OperatorFactory
from facerec.operators.depthwise import Depthwise
from facerec.surgery import replace_depthwise


class TwoScales(nn.Module):
    """One convolution for a map and for its half."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, groups=4)

    def forward(self, x):
        return self.conv(x).mean() + self.conv(F.avg_pool2d(x, 2)).mean()


class Unused(nn.Module):
    """Has a convolution and does not run it."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = depthwise(), depthwise()

    def forward(self, x):
        return self.used(x)


def depthwise(kernel_size=3, padding=1, **arguments):
    return nn.Conv2d(4, 4, kernel_size, padding=padding, groups=4, bias=False, **arguments)


@pytest.mark.parametrize(
    ("model", "facts"),
    [
        (depthwise(dilation=2, padding=2), ("dilation", "2x2")),
        (depthwise(stride=(2, 1)), ("stride", "2x1")),
        (nn.Conv2d(4, 4, (1, 3), padding=(0, 1), groups=4), ("kernel", "1x3")),
        (depthwise(padding=0), ("6x8", "4x6")),
        (depthwise(padding=2, stride=2), ("6x8", "4x5", "3x4")),
        (depthwise(kernel_size=2, padding=0, stride=2), ("kernel_size", "odd", "2")),
    ],
)
def test_a_convolution_that_no_operator_can_stand_for_is_refused_by_name(model, facts):
    with refuses("depthwise", "'1.0'", *facts, "where="):
        replace_depthwise(nn.Sequential(depthwise(), nn.Sequential(model)), Depthwise, (6, 8))
    replace_depthwise(nn.Sequential(depthwise(), nn.Sequential(model)), Depthwise, (6, 8), where="0")


@pytest.mark.parametrize(
    ("model", "facts"),
    [
        (TwoScales(), ("'conv'", "3x4", "6x8", "where=")),
        (Unused(), ("'unused'", "where=")),
    ],
)
def test_a_convolution_without_one_map_size_is_refused(model, facts):
    with refuses("depthwise", *facts):
        replace_depthwise(model, Depthwise, (6, 8))


@pytest.mark.parametrize(
    ("where", "facts"),
    [
        ("conv", ("depthwise", "where", "'conv'", "0, 1, 2, 3, 4, 5, 6, 7", "2 more")),
        (["0", "1.*"], ("depthwise", "where", "1.*", "0, 1, 2, 3, 4, 5, 6, 7")),
        ([], ("where", "*", "all")),
    ],
    ids=str,
)
def test_a_pattern_without_a_convolution_is_refused(where, facts):
    with refuses(*facts):
        replace_depthwise(nn.Sequential(*(depthwise() for _ in range(10))), Depthwise, (6, 6), where)


def test_a_network_without_a_depthwise_convolution_is_refused():
    with refuses("depthwise", "where", "'*'", "none"):
        replace_depthwise(nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(1, 1, 3)), Depthwise, (6, 6))


@pytest.mark.parametrize(
    "operator",
    [
        OperatorFactory(Depthwise, make_pointwise=nn.Conv2d),
        OperatorFactory(Depthwise, wrap_block=lambda in_channels, layers: layers),
    ],
    ids=["pointwise", "block"],
)
def test_an_operator_that_makes_pointwise_convolutions_is_refused(operator):
    with refuses("operator", "block", "depthwise"):
        replace_depthwise(depthwise(), operator, (6, 6))
