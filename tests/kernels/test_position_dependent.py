"""The position-dependent convolution against four other ways to compute it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from says import refuses

from facerec.kernels.position_dependent import position_dependent_conv

STRIDES = pytest.mark.parametrize("stride", [1, 2, 3])
KERNELS = pytest.mark.parametrize("kernel", [1, 3, 5])
# Float32 runs in the CPU's own kernel, float64 in the plain form.
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
SIZES = pytest.mark.parametrize("size", [(5, 5), (4, 6), (7, 4), (1, 3)], ids=str)


def inputs(size, kernel, stride, batch=2, channels=3, dtype=torch.float64, seed=0):
    """An input (B, C, *size) and weights (k * k, H, W, C) for it."""
    generator = torch.Generator().manual_seed(seed)
    out_size = [(side + stride - 1) // stride for side in size]
    x = torch.randn(batch, channels, *size, generator=generator, dtype=torch.float64)
    weight = torch.randn(kernel**2, *out_size, channels, generator=generator, dtype=torch.float64)
    return x.to(dtype), weight.to(dtype)


def by_loops(x, weight, stride):
    """Every product by itself; a tap outside of the image is zero."""
    (batch, channels, height_in, width_in), (taps, height, width, _) = x.shape, weight.shape
    kernel = int(taps**0.5)
    out = np.zeros((batch, channels, height, width))
    for b, c, i, j in np.ndindex(out.shape):
        for tap in range(taps):
            row = stride * i + tap // kernel - kernel // 2
            column = stride * j + tap % kernel - kernel // 2
            if 0 <= row < height_in and 0 <= column < width_in:
                out[b, c, i, j] += weight[tap, i, j, c] * x[b, c, row, column]
    return out


def by_unfolding(x, weight, stride):
    taps, height, width, channels = weight.shape
    kernel = int(taps**0.5)
    columns = F.unfold(x, kernel, padding=kernel // 2, stride=stride)
    return torch.einsum("bctij,tijc->bcij", columns.view(len(x), channels, taps, height, width), weight)


def gradients(function, x, weight, stride, grad_out):
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    return torch.autograd.grad(function(x, weight, stride), (x, weight), grad_out)


@STRIDES
@KERNELS
@SIZES
@DTYPES
def test_it_is_the_sum_over_taps_of_weight_times_input(dtype, size, kernel, stride):
    x, weight = inputs(size, kernel, stride, dtype=dtype)
    expected = torch.from_numpy(by_loops(x.numpy(), weight.numpy(), stride)).to(dtype)
    torch.testing.assert_close(position_dependent_conv(x, weight, stride), expected, check_stride=False)


@STRIDES
@KERNELS
@SIZES
@DTYPES
def test_output_and_gradients_are_those_of_the_unfolded_form(dtype, size, kernel, stride):
    x, weight = inputs(size, kernel, stride, dtype=dtype)
    out, expected = position_dependent_conv(x, weight, stride), by_unfolding(x, weight, stride)
    torch.testing.assert_close(out, expected, check_stride=False)
    grad_out = torch.randn_like(expected)
    mine, theirs = (gradients(f, x, weight, stride, grad_out) for f in (position_dependent_conv, by_unfolding))
    torch.testing.assert_close(mine, theirs, check_stride=False)


@pytest.mark.parametrize("stride", [1, 2])
@KERNELS
def test_gradients_are_the_numerical_ones(kernel, stride):
    x, weight = inputs((5, 4), kernel, stride, channels=2)
    assert torch.autograd.gradcheck(
        lambda x, w: position_dependent_conv(x, w, stride), (x.requires_grad_(), weight.requires_grad_())
    )


@pytest.mark.parametrize(("needs_x", "needs_weight"), [(True, False), (False, True)])
def test_only_the_gradient_that_is_asked_for_is_computed(needs_x, needs_weight):
    x, weight = inputs((4, 4), 3, 1)
    x.requires_grad_(needs_x)
    weight.requires_grad_(needs_weight)
    position_dependent_conv(x, weight).sum().backward()
    assert (x.grad is not None, weight.grad is not None) == (needs_x, needs_weight)


@STRIDES
@KERNELS
@SIZES
def test_the_same_weights_everywhere_are_a_depthwise_convolution_up_to_the_border(size, kernel, stride):
    x, weight = inputs(size, kernel, stride)
    weight = weight[:, :1, :1].expand_as(weight)
    filters = weight[:, 0, 0].T.reshape(3, 1, kernel, kernel)
    expected = F.conv2d(x, filters, stride=stride, padding=kernel // 2, groups=3)
    torch.testing.assert_close(position_dependent_conv(x, weight, stride), expected, check_stride=False)


@pytest.mark.parametrize("stride", [1, 2])
def test_it_is_linear_in_the_input(stride):
    (x, weight), (y, _) = inputs((5, 6), 3, stride, seed=0), inputs((5, 6), 3, stride, seed=1)
    together = position_dependent_conv(2 * x - 3 * y, weight, stride)
    apart = 2 * position_dependent_conv(x, weight, stride) - 3 * position_dependent_conv(y, weight, stride)
    torch.testing.assert_close(together, apart)


def test_memory_format_of_the_input_does_not_matter_and_the_output_is_channels_last():
    x, weight = inputs((6, 5), 3, 2)
    grad_out = torch.randn(2, 3, 3, 3, dtype=x.dtype)
    every_second = torch.stack((x, x), dim=-1).flatten(3)[..., ::2]
    for other in (x.to(memory_format=torch.channels_last), every_second):
        out = position_dependent_conv(other, weight, 2)
        assert out.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(out, position_dependent_conv(x, weight, 2))
        mine, theirs = (gradients(position_dependent_conv, i, weight, 2, grad_out) for i in (other, x))
        torch.testing.assert_close(mine, theirs, check_stride=False)


def test_bfloat16_is_close_and_gives_the_gradient_of_float32_weights_in_float32():
    x, weight = inputs((6, 6), 3, 2, dtype=torch.float32)
    x, weight = x.bfloat16().requires_grad_(), weight.bfloat16().float().requires_grad_()
    out = position_dependent_conv(x, weight, 2)
    expected = by_unfolding(x.float(), weight, 2)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), expected, atol=0.1, rtol=0.02, check_stride=False)
    grad_out = torch.ones_like(expected)
    mine = torch.autograd.grad(out, (x, weight), grad_out.bfloat16())
    theirs = torch.autograd.grad(expected, (x, weight), grad_out)
    assert [gradient.dtype for gradient in mine] == [torch.bfloat16, torch.float32]
    torch.testing.assert_close(mine, theirs, atol=0.1, rtol=0.02, check_stride=False)


def test_long_sums_of_bfloat16_do_not_stall():
    """256 + 1 is 256 in bfloat16: sums over many images and many taps must be kept in float32."""
    x = torch.ones(512, 1, 23, 23, dtype=torch.bfloat16, requires_grad=True)
    weight = torch.ones(23 * 23, 23, 23, 1, requires_grad=True)
    out = position_dependent_conv(x, weight)
    out.sum().backward()
    assert out[0, 0, 11, 11] == 23 * 23 - 1  # 529, in steps of 4
    assert x.grad[0, 0, 11, 11] == 528
    assert weight.grad[264, 11, 11].item() == 512


@pytest.mark.parametrize(
    ("size", "weight_shape", "stride", "needed", "got"),
    [
        ((112, 96), (9, 96, 96, 4), 1, "4 channels at 112x96", "4 at 96x96"),
        ((7, 7), (9, 3, 3, 4), 2, "4 channels at 4x4", "4 at 3x3"),
        ((6, 6), (9, 6, 6, 5), 1, "4 channels at 6x6", "5 at 6x6"),
    ],
)
def test_maps_that_do_not_fit_are_refused_with_both_sizes_and_the_remedy(size, weight_shape, stride, needed, got):
    with refuses(f"4 channels at {size[0]}x{size[1]}", f"stride {stride}", needed, got, "image size"):
        position_dependent_conv(torch.zeros(1, 4, *size), torch.zeros(weight_shape), stride)


def test_an_empty_batch_gives_an_empty_output():
    weight = torch.zeros(9, 3, 2, 4)
    assert position_dependent_conv(torch.zeros(0, 4, 5, 4), weight, 2).shape == (0, 4, 3, 2)


def test_weights_in_bfloat16_are_read_as_they_are():
    x, grad_out = (torch.randn(5, 40, 6, 7).bfloat16().to(memory_format=torch.channels_last) for _ in range(2))
    weight, found = torch.randn(9, 6, 7, 40).bfloat16(), []
    for kind in (torch.bfloat16, torch.float32):
        leaves = [x.clone().requires_grad_(), weight.to(kind).requires_grad_()]
        out = position_dependent_conv(*leaves)
        gradients = torch.autograd.grad(out, leaves, grad_out)
        assert gradients[1].dtype == kind
        with torch.no_grad():
            found.append([out, position_dependent_conv(*leaves), gradients[0], gradients[1].bfloat16()])
    assert all(torch.equal(half, whole) for half, whole in zip(*found, strict=True))
