"""The blocks of both backbones, and the values that weights start from."""

import pytest
import torch
from random_weights import randomise
from torch import nn

from facerec.backbones import MobileNetV2, ShuffleNetV2
from facerec.backbones.activations import ReLU6, activation_of
from facerec.backbones.mobilenet_v2 import InvertedResidual
from facerec.backbones.shufflenet_v2 import DownsamplingUnit, ShuffleUnit
from facerec.operators.base import OperatorFactory
from facerec.operators.depthwise import Depthwise

DEPTHWISE = OperatorFactory.of(Depthwise)
ACT = activation_of("relu6")


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def assert_interleaved(out, expected):
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(out, expected, check_stride=False, rtol=1e-4, atol=1e-4)


def test_dense_convolutions_of_mobilenet_start_kaiming_normal_and_the_embedding_small():
    torch.manual_seed(0)
    network = MobileNetV2(1.0, image_size=(16, 16))
    for conv in [module for module in network.modules() if isinstance(module, nn.Conv2d)]:
        expected = (2 / (conv.weight.shape[0] * conv.weight.shape[2] * conv.weight.shape[3])) ** 0.5
        # A sample of n has a standard deviation within 4 / sqrt(2 n) of the true one.
        assert conv.weight.std().item() == pytest.approx(expected, rel=4 / (2 * conv.weight.numel()) ** 0.5)
        assert conv.bias is None
    linear = next(module for module in network.embed if isinstance(module, nn.Linear))
    assert linear.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert not linear.bias.any()


def test_dense_convolutions_of_shufflenet_start_uniform_over_the_incoming_connections():
    torch.manual_seed(0)
    network = ShuffleNetV2(1.0, image_size=(16, 16))
    dense = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.groups == 1]
    for conv in dense:
        bound = conv.weight[0].numel() ** -0.5
        assert 0.95 * bound < conv.weight.abs().max() <= bound
        assert conv.bias is None
    operators = [m for m in network.modules() if isinstance(m, Depthwise)]
    for operator in operators:
        expected = (2 / (9 * operator.in_channels)) ** 0.5
        assert operator.weight.std().item() == pytest.approx(expected, rel=4 / (2 * operator.weight.numel()) ** 0.5)


@pytest.mark.parametrize(
    ("channels", "stride", "has_shortcut"), [((8, 8), 1, True), ((8, 16), 1, False), ((8, 8), 2, False)]
)
def test_an_inverted_residual_adds_its_input_where_shapes_allow(channels, stride, has_shortcut):
    block = randomise(InvertedResidual(*channels, 6, stride, (4 // stride, 4 // stride), DEPTHWISE, ACT)).eval()
    x = noise(1, channels[0], 4, 4)
    torch.testing.assert_close(block(x), block.layers(x) + x if has_shortcut else block.layers(x))


def test_an_inverted_residual_expands_only_when_told_to():
    kinds = [nn.Conv2d, nn.BatchNorm2d, ReLU6, Depthwise, nn.BatchNorm2d, ReLU6, nn.Conv2d, nn.BatchNorm2d]
    assert [type(layer) for layer in InvertedResidual(8, 8, 6, 1, (4, 4), DEPTHWISE, ACT).layers] == kinds
    assert [type(layer) for layer in InvertedResidual(8, 8, 1, 1, (4, 4), DEPTHWISE, ACT).layers] == kinds[3:]


def test_relu6_writes_over_its_input_only_where_no_gradient_is_recorded():
    x, layer = torch.tensor([-1.0, 3.0, 7.0]), ReLU6()
    watched = x.clone().requires_grad_()
    doubled = watched * 2
    out = layer(doubled)
    out.sum().backward()
    assert (out.tolist(), doubled.tolist(), watched.grad.tolist()) == ([0, 6, 6], [-2, 6, 14], [0, 0, 0])
    assert layer(x).data_ptr() == x.data_ptr() and x.tolist() == [0, 3, 6]


def interleaved(first, second):
    """Channels 0 of both, channels 1 of both, ..."""
    return torch.stack([half[:, channel] for channel in range(first.shape[1]) for half in (first, second)], dim=1)


def test_a_shuffle_unit_passes_one_half_and_interleaves_it_with_the_other():
    unit = randomise(ShuffleUnit(10, (4, 3), DEPTHWISE, ACT)).eval()
    x = noise(2, 10, 4, 3)
    expected = interleaved(x[:, :5], unit.transform(x[:, 5:]))
    for memory_format in (torch.contiguous_format, torch.channels_last):
        assert_interleaved(unit(x.to(memory_format=memory_format)), expected)


def test_a_downsampling_unit_interleaves_two_branches_that_see_all_channels():
    unit = randomise(DownsamplingUnit(6, 10, (4, 2), DEPTHWISE, ACT)).eval()
    x = noise(2, 6, 7, 4)
    expected = interleaved(unit.shortcut(x), unit.transform(x))
    assert expected.shape == (2, 10, 4, 2)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        assert_interleaved(unit(x.to(memory_format=memory_format)), expected)
