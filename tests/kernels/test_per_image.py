"""Convolutions with weights of their own for each image, against one ordinary convolution an image."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec.kernels.per_image import depthwise_per_image, mix, pointwise_per_image

BATCHES = pytest.mark.parametrize("batch", [1, 2, 5])
FORMATS = pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def one_by_one(x, weight, stride=1):
    """An ordinary convolution an image, depthwise where the filters are of one channel."""
    groups = weight.shape[1] if weight.shape[2] == 1 else 1
    convolved = [
        F.conv2d(image[None], filters, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
        for image, filters in zip(x, weight, strict=True)
    ]
    return torch.cat(convolved)


def by_loops(x, weight, stride):
    """Every product by itself; a tap outside of the image is zero."""
    (batch, channels, height, width), kernel = x.shape, weight.shape[-1]
    out = np.zeros((batch, channels, -(-height // stride), -(-width // stride)))
    for b, c, i, j, row, column in np.ndindex(*out.shape, kernel, kernel):
        y, z = stride * i + row - kernel // 2, stride * j + column - kernel // 2
        if 0 <= y < height and 0 <= z < width:
            out[b, c, i, j] += weight[b, c, 0, row, column] * x[b, c, y, z]
    return out


def assert_same_with_gradients(function, expected_function, *tensors):
    inputs = [tensor.clone().requires_grad_() for tensor in tensors]
    out, expected = function(*inputs), expected_function(*inputs)
    torch.testing.assert_close(out, expected, check_stride=False)
    grad_out = noise(*out.shape, seed=9)
    gradients = (torch.autograd.grad(result, inputs, grad_out) for result in (out, expected))
    torch.testing.assert_close(*gradients, check_stride=False)


@BATCHES
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_depthwise_is_the_sum_over_taps_of_the_images_own_weight_times_input(stride, kernel, batch):
    x, weight = noise(batch, 2, 5, 4), noise(batch, 2, 1, kernel, kernel, seed=1)
    expected = torch.from_numpy(by_loops(x.numpy(), weight.numpy(), stride))
    torch.testing.assert_close(depthwise_per_image(x, weight, stride), expected, check_stride=False)


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 4),
    channels=st.integers(1, 5),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 3),
)
def test_depthwise_and_its_gradients_are_those_of_one_convolution_an_image(batch, channels, size, kernel, stride):
    assert_same_with_gradients(
        lambda x, weight: depthwise_per_image(x, weight, stride),
        lambda x, weight: one_by_one(x, weight, stride),
        noise(batch, channels, *size),
        noise(batch, channels, 1, kernel, kernel, seed=1),
    )


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 4),
    channels=st.tuples(st.integers(2, 5), st.integers(1, 5)),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_pointwise_and_its_gradients_are_those_of_one_convolution_an_image(batch, channels, size):
    in_channels, out_channels = channels
    assert_same_with_gradients(
        pointwise_per_image,
        one_by_one,
        noise(batch, in_channels, *size),
        noise(batch, out_channels, in_channels, 1, 1, seed=1),
    )


@FORMATS
@pytest.mark.parametrize("stride", [1, 2])
def test_memory_format_of_the_input_does_not_matter_and_the_output_is_channels_last(memory_format, stride):
    x = noise(3, 4, 7, 6).contiguous(memory_format=memory_format)
    filters, matrices = noise(3, 4, 1, 3, 3), noise(3, 5, 4, 1, 1)
    for out, expected in [
        (depthwise_per_image(x, filters, stride), one_by_one(x, filters, stride)),
        (pointwise_per_image(x, matrices), one_by_one(x, matrices)),
    ]:
        assert out.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(out, expected, check_stride=False)


@BATCHES
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_the_numerical_ones(stride, batch):
    x, filters, matrices = noise(batch, 2, 4, 3), noise(batch, 2, 1, 3, 3), noise(batch, 3, 2, 1, 1)
    tensors = [tensor.requires_grad_() for tensor in (x, filters, matrices)]
    assert torch.autograd.gradcheck(lambda x, f, _: depthwise_per_image(x, f, stride), tensors)
    assert torch.autograd.gradcheck(lambda x, _, m: pointwise_per_image(x, m), tensors)


def test_the_same_weights_for_all_images_are_an_ordinary_convolution():
    x, filters, matrix = noise(3, 4, 6, 5), noise(4, 1, 3, 3), noise(2, 4, 1, 1)
    expected = F.conv2d(x, filters, stride=2, padding=1, groups=4)
    torch.testing.assert_close(
        depthwise_per_image(x, filters.expand(3, -1, -1, -1, -1), 2), expected, check_stride=False
    )
    expected = F.conv2d(x, matrix)
    torch.testing.assert_close(pointwise_per_image(x, matrix.expand(3, -1, -1, -1, -1)), expected, check_stride=False)


def test_mixing_sums_the_filters_that_all_channels_share_or_those_of_each_channel():
    gates, filters = noise(2, 3), noise(3, 4, seed=1)
    expected = torch.stack([sum(gates[b, e] * filters[e] for e in range(3)) for b in range(2)])
    torch.testing.assert_close(mix(gates, filters), expected)
    gates, filters = noise(2, 5, 3), noise(5, 3, 4, seed=1)
    for c in range(5):
        torch.testing.assert_close(mix(gates, filters)[:, c], mix(gates[:, c], filters[c]))


def test_a_hundredth_more_for_one_expert_is_not_lost_under_bfloat16_autocast():
    """0.25 + 0.0005 is 0.25 in bfloat16."""
    gates, filters = torch.tensor([[0.2505, 0.2495]]), torch.tensor([[1000.0], [-1000.0]])
    with torch.autocast("cpu", torch.bfloat16):
        mixed = mix(gates, filters)
    assert mixed.dtype == torch.float32
    assert mixed.item() == pytest.approx(1.0, rel=1e-3)
