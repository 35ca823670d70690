"""The plain form of the convolution with weights of each image and position: that groups of images change nothing."""

import pytest
import torch

from facerec.kernels import pixel_dependent_reference as shifted
from facerec.kernels import taps

STRIDES = pytest.mark.parametrize("stride", [1, 2])
COMBINES = pytest.mark.parametrize("combine", [None, "mul", "add"])


def inputs(stride):
    """An input (5, 6, 5, 4), a gradient of the output, weights of 3 groups and channel weights."""
    generator = torch.Generator().manual_seed(0)
    size = (-(-5 // stride), -(-4 // stride))
    shapes = (5, 6, 5, 4), (5, 6, *size), (5, 9, 3, *size), (5, 6, 9)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def results(x, grad_out, weight, channel_weight, stride, combine):
    weights = (weight, stride, channel_weight if combine else None, combine or "mul")
    gradients = shifted.weight_gradients(x, grad_out, *weights)
    return shifted.forward(x, *weights), shifted.input_gradient(grad_out, *weights, (5, 4)), *gradients


@pytest.mark.parametrize("images_a_group", [0, 1, 2, 50])
@STRIDES
@COMBINES
def test_the_size_of_a_group_changes_nothing(images_a_group, stride, combine, monkeypatch):
    tensors = inputs(stride)
    expected = results(*tensors, stride, combine)  # one group holds them all
    monkeypatch.setattr(taps, "_CHUNK_BYTES", images_a_group * 6 * 5 * 4 * 8)
    for mine, theirs in zip(results(*tensors, stride, combine), expected, strict=True):
        torch.testing.assert_close(mine, theirs)
