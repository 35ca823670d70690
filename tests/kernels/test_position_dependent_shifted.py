"""The plain form of the position-dependent convolution: that groups of images change nothing."""

import pytest
import torch

from facerec.kernels import position_dependent_reference as shifted


def inputs(batch, stride):
    """An input (B, 3, 5, 4), weights (9, H, W, 3) and a gradient of the output."""
    generator = torch.Generator().manual_seed(0)
    size = (-(-5 // stride), -(-4 // stride))
    shapes = (batch, 3, 5, 4), (9, *size, 3), (batch, 3, *size)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def results(x, weight, grad_out, stride):
    return (
        shifted.forward(x, weight, stride),
        shifted.input_gradient(grad_out, weight, stride, (5, 4)),
        shifted.weight_gradient(x, grad_out, 3, stride),
    )


@pytest.mark.parametrize("images_a_group", [0, 1, 2, 5, 50])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_size_of_a_group_changes_nothing(images_a_group, stride, monkeypatch):
    tensors = inputs(5, stride)
    expected = results(*tensors, stride)  # one group holds them all
    monkeypatch.setattr(shifted, "_CHUNK_BYTES", images_a_group * 3 * 5 * 4 * 8)
    torch.testing.assert_close(results(*tensors, stride), expected)


def test_a_long_sum_over_groups_of_bfloat16_images_does_not_stall(monkeypatch):
    """256 + 1 is 256 in bfloat16: sums of many groups must be kept in float32."""
    monkeypatch.setattr(shifted, "_CHUNK_BYTES", 1)
    ones = torch.ones(512, 1, 2, 2, dtype=torch.bfloat16)
    assert shifted.weight_gradient(ones, ones, 1, 1).flatten().tolist() == [512] * 4
