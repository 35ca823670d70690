"""Convolutions and operators that surgery cannot bring together are refused by name, with a remedy."""

from functools import partial

import pytest
import torch.nn.functional as F
from torch import nn

from facerec.operators.depthwise import Depthwise
from facerec.surgery import replace_depthwise


class Pointwise(Depthwise):
    @staticmethod
    def pointwise(in_channels, out_channels):
        raise AssertionError


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
    ("model", "sentence"),
    [
        (depthwise(dilation=2, padding=2), "it has a dilation of 2x2"),
        (depthwise(stride=(2, 1)), "its stride of 2x1 is not square"),
        (nn.Conv2d(4, 4, (1, 3), padding=(0, 1), groups=4), "its kernel of 1x3 is not square"),
        (depthwise(padding=0), "it maps 6x8 to 4x6, not to 6x8"),
        (depthwise(padding=2, stride=2), "it maps 6x8 to 4x5, not to 3x4"),
        (depthwise(kernel_size=2, padding=0, stride=2), "kernel_size must be odd, got 2"),
    ],
)
def test_a_convolution_that_no_operator_can_stand_for_is_refused_by_name(model, sentence):
    with pytest.raises(ValueError) as refusal:
        replace_depthwise(nn.Sequential(depthwise(), nn.Sequential(model)), Depthwise, (6, 8))
    expected = f"the depthwise convolution '1.0' cannot be replaced, {sentence}: choose others by where="
    assert str(refusal.value) == expected
    replace_depthwise(nn.Sequential(depthwise(), nn.Sequential(model)), Depthwise, (6, 8), where="0")


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (TwoScales(), "'conv' cannot be replaced, it is run at several sizes, 3x4, 6x8: choose others by where="),
        (Unused(), "'unused' cannot be replaced, a forward pass does not run it: choose others by where="),
    ],
)
def test_a_convolution_without_one_map_size_is_refused(model, sentence):
    with pytest.raises(ValueError) as refusal:
        replace_depthwise(model, Depthwise, (6, 8))
    assert str(refusal.value) == f"the depthwise convolution {sentence}"


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("conv", "no depthwise convolution matches where='conv'; there are 0, 1, 2, 3, 4, 5, 6, 7 and 2 more"),
        (["0", "1.*"], r"no depthwise convolution matches where='1.\*'; there are 0, 1, 2, 3, 4, 5, 6, 7 and 2 more"),
        ([], 'where names no convolution: give a pattern, "\\*" for all'),
    ],
    ids=str,
)
def test_a_pattern_without_a_convolution_is_refused(where, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        replace_depthwise(nn.Sequential(*(depthwise() for _ in range(10))), Depthwise, (6, 6), where)


def test_a_network_without_a_depthwise_convolution_is_refused():
    with pytest.raises(ValueError, match=r"^no depthwise convolution matches where='\*'; the network has none$"):
        replace_depthwise(nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(1, 1, 3)), Depthwise, (6, 6))


@pytest.mark.parametrize("operator", [Pointwise, partial(partial(Pointwise), kernel_size=3)])
def test_an_operator_that_makes_pointwise_convolutions_is_refused(operator):
    with pytest.raises(ValueError, match=r"^the operator replaces more of a block than its depthwise convolution"):
        replace_depthwise(depthwise(), operator, (6, 6))
