"""The convolution with weights of each image and position against other ways to compute it."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from says import refuses

from facerec.kernels.pixel_dependent import pixel_dependent_conv
from facerec.kernels.position_dependent import position_dependent_conv

STRIDES = pytest.mark.parametrize("stride", [1, 2, 3])
# Float32 runs in the CPU's own kernel, but for channel weights with several groups; float64 in the plain form.
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
KERNELS = pytest.mark.parametrize("kernel", [1, 3, 5])
SIZES = pytest.mark.parametrize("size", [(5, 5), (4, 6), (1, 3)], ids=str)
COMBINES = pytest.mark.parametrize("combine", [None, "mul", "add"])


def inputs(size, kernel=3, stride=1, batch=2, channels=6, groups=3, dtype=torch.float64, seed=0):
    """An input (B, C, *size), weights (B, k * k, G, H, W) and channel weights (B, C, k * k)."""
    generator = torch.Generator().manual_seed(seed)
    out_size = [(side + stride - 1) // stride for side in size]
    shapes = (batch, channels, *size), (batch, kernel**2, groups, *out_size), (batch, channels, kernel**2)
    return [torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]


def by_loops(x, weight, stride):
    """Every product by itself; a tap outside of the image is zero."""
    (batch, channels, height_in, width_in), (_, taps, groups, height, width) = x.shape, weight.shape
    kernel = int(taps**0.5)
    out = np.zeros((batch, channels, height, width))
    for b, c, i, j in np.ndindex(out.shape):
        for tap in range(taps):
            row = stride * i + tap // kernel - kernel // 2
            column = stride * j + tap % kernel - kernel // 2
            if 0 <= row < height_in and 0 <= column < width_in:
                out[b, c, i, j] += weight[b, tap, c // (channels // groups), i, j] * x[b, c, row, column]
    return out


def by_unfolding(x, weight, stride, channel_weight=None, combine=None):
    batch, taps, groups, height, width = weight.shape
    kernel = int(taps**0.5)
    full = weight.repeat_interleave(x.shape[1] // groups, dim=2).transpose(1, 2)
    if channel_weight is not None:
        per_channel = channel_weight[..., None, None]
        full = full * per_channel if combine == "mul" else full + per_channel
    columns = F.unfold(x, kernel, padding=kernel // 2, stride=stride)
    return (columns.view(batch, -1, taps, height, width) * full).sum(2)


def arguments(combine, channel_weight):
    return () if combine is None else (channel_weight, combine)


def gradients(function, tensors, stride, combine, grad_out):
    tensors = [tensor.clone().requires_grad_() for tensor in (tensors if combine else tensors[:2])]
    x, weight, *channel_weight = tensors
    out = function(x, weight, stride, *arguments(combine, *channel_weight or [None]))
    return torch.autograd.grad(out, tensors, grad_out)


@STRIDES
@KERNELS
@SIZES
@DTYPES
def test_it_is_the_sum_over_taps_of_the_groups_weight_times_the_input(dtype, size, kernel, stride):
    x, weight, _ = inputs(size, kernel, stride, dtype=dtype)
    expected = torch.from_numpy(by_loops(x.numpy(), weight.numpy(), stride)).to(dtype)
    torch.testing.assert_close(pixel_dependent_conv(x, weight, stride), expected, check_stride=False)


@COMBINES
@STRIDES
@KERNELS
@SIZES
@DTYPES
def test_output_and_gradients_are_those_of_the_unfolded_form(dtype, size, kernel, stride, combine):
    for groups in (1, 3):
        check(inputs(size, kernel, stride, groups=groups, dtype=dtype), stride, combine)


@COMBINES
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (29, 1), (80, 1), (8, 8), (56, 7), (48, 3), (72, 3), (50, 2)])
def test_channels_and_groups_may_be_of_any_number(channels, groups, stride, combine):
    check(inputs((5, 4), 3, stride, 3, channels, groups, dtype=torch.float32), stride, combine)


def check(tensors, stride, combine):
    x, weight, channel_weight = tensors
    extra = arguments(combine, channel_weight)
    out, expected = (f(x, weight, stride, *extra) for f in (pixel_dependent_conv, by_unfolding))
    close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4, check_stride=False)
    if x.dtype == torch.float64:
        close = partial(torch.testing.assert_close, check_stride=False)
    close(out, expected)
    grad_out = torch.randn_like(expected)
    mine, theirs = (gradients(f, tensors, stride, combine, grad_out) for f in (pixel_dependent_conv, by_unfolding))
    close(mine, theirs)


@COMBINES
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_the_numerical_ones(stride, combine):
    x, weight, channel_weight = inputs((4, 3), 3, stride, batch=1, channels=4, groups=2)
    tensors = [t.requires_grad_() for t in (x, weight, *([channel_weight] if combine else []))]

    def convolve(x, weight, channel_weight=None):
        return pixel_dependent_conv(x, weight, stride, *arguments(combine, channel_weight))

    assert torch.autograd.gradcheck(convolve, tensors)


@STRIDES
def test_weights_shared_by_all_images_and_positions_are_a_depthwise_convolution_border_included(stride):
    x, weight, _ = inputs((5, 4), 3, stride)
    weight = weight[:1, :, :, :1, :1].expand_as(weight)
    filters = weight[0, :, :, 0, 0].T.repeat_interleave(2, dim=0).view(6, 1, 3, 3)
    expected = F.conv2d(x, filters, stride=stride, padding=1, groups=6)
    torch.testing.assert_close(pixel_dependent_conv(x, weight, stride), expected, check_stride=False)


@STRIDES
def test_weights_shared_by_all_images_are_position_dependent_ones(stride):
    x, weight, _ = inputs((5, 4), 3, stride, groups=6)
    weight = weight[:1].expand_as(weight)
    expected = position_dependent_conv(x, weight[0].permute(0, 2, 3, 1), stride)
    torch.testing.assert_close(pixel_dependent_conv(x, weight, stride), expected)


@STRIDES
def test_ones_times_channel_weights_and_zeros_plus_them_are_a_depthwise_convolution_of_each_image(stride):
    x, weight, channel_weight = inputs((5, 4), 3, stride)
    filters = channel_weight.view(2, 6, 1, 3, 3)
    each = [F.conv2d(image[None], f, stride=stride, padding=1, groups=6) for image, f in zip(x, filters, strict=True)]
    for neutral, combine in ((torch.ones_like(weight), "mul"), (torch.zeros_like(weight), "add")):
        out = pixel_dependent_conv(x, neutral, stride, channel_weight, combine)
        torch.testing.assert_close(out, torch.cat(each), check_stride=False)


def test_only_the_gradient_that_is_asked_for_is_given():
    x, weight, channel_weight = inputs((4, 4))
    pixel_dependent_conv(x.requires_grad_(), weight, 1, channel_weight).sum().backward()
    assert x.grad is not None and weight.grad is None and channel_weight.grad is None


@COMBINES
def test_memory_format_does_not_matter_and_the_output_is_channels_last(combine):
    x, weight, channel_weight = inputs((6, 5), 3, 2)
    expected = pixel_dependent_conv(x, weight, 2, *arguments(combine, channel_weight))
    grad_out = torch.randn_like(expected)
    every_second = torch.stack((x, x), dim=-1).flatten(3)[..., ::2]
    last = weight.flatten(1, 2).to(memory_format=torch.channels_last).unflatten(1, weight.shape[1:3])
    for other in (x.to(memory_format=torch.channels_last), every_second):
        out = pixel_dependent_conv(other, last, 2, *arguments(combine, channel_weight))
        assert out.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(out, expected)
        mine, theirs = (
            gradients(pixel_dependent_conv, (*tensors, channel_weight), 2, combine, grad_out)
            for tensors in ((other, last), (x, weight))
        )
        torch.testing.assert_close(mine, theirs, check_stride=False)


@COMBINES
@pytest.mark.parametrize("groups", [1, 3])
def test_bfloat16_is_close_and_gives_the_gradient_of_float32_weights_in_float32(groups, combine):
    x, weight, channel_weight = (tensor.bfloat16() for tensor in inputs((6, 6), groups=groups))
    tensors = [x.requires_grad_(), *(w.float().requires_grad_() for w in (weight, channel_weight))]
    out = pixel_dependent_conv(*tensors[:2], 1, *arguments(combine, tensors[2]))
    expected = by_unfolding(x.float(), tensors[1], 1, *arguments(combine, tensors[2]))
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), expected, atol=0.1, rtol=0.03, check_stride=False)
    used = tensors if combine else tensors[:2]
    mine = torch.autograd.grad(out, used, torch.ones_like(out))
    theirs = torch.autograd.grad(expected, used, torch.ones_like(expected))
    assert [gradient.dtype for gradient in mine] == [t.dtype for t in used]
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=0.1, rtol=0.03, check_stride=False)


@DTYPES
def test_what_lies_beside_the_map_in_memory_is_never_read(dtype):
    """A not-a-number of one image or position stays there: no run of numbers reaches into another's."""
    x, weight, _ = inputs((5, 4), batch=3, dtype=dtype)
    expected = pixel_dependent_conv(x, weight)
    x[1] = torch.nan
    weight[2, :, :, 4, 3] = torch.nan
    out = pixel_dependent_conv(x, weight)
    assert out[1].isnan().all()
    torch.testing.assert_close(out[0], expected[0])
    assert out[2, :, 4, 3].isnan().all()
    torch.testing.assert_close(out[2].flatten(1)[:, :-1], expected[2].flatten(1)[:, :-1])


@pytest.mark.parametrize(
    ("weight_shape", "stride", "needed", "got"),
    [
        ((2, 9, 3, 96, 96), 1, "7x7", ("2 images at 96x96", "3 groups")),
        ((2, 9, 3, 3, 3), 2, "4x4", ("2 images at 3x3", "3 groups")),
        ((2, 9, 4, 7, 7), 1, "7x7", ("2 images at 7x7", "4 groups")),
        ((1, 9, 3, 7, 7), 1, "7x7", ("1 images at 7x7", "3 groups")),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_both_sizes(weight_shape, stride, needed, got):
    with refuses("2 images of 6 channels at 7x7", f"stride {stride}", "weights", needed, *got):
        pixel_dependent_conv(torch.zeros(2, 6, 7, 7), torch.zeros(weight_shape), stride)


def test_channel_weights_that_do_not_fit_are_refused():
    x, weight, channel_weight = inputs((5, 4))
    with refuses("channel_weight", "2 images", "6 channels", "9 taps", "(2, 1, 9)"):
        pixel_dependent_conv(x, weight, 1, channel_weight[:, :1])


@COMBINES
def test_an_empty_batch_gives_an_empty_output_and_empty_gradients(combine):
    tensors = inputs((5, 4), 3, 2, batch=0, groups=1, dtype=torch.float32)
    out = pixel_dependent_conv(*tensors[:2], 2, *arguments(combine, tensors[2]))
    assert out.shape == (0, 6, 3, 2)
    for gradient, tensor in zip(gradients(pixel_dependent_conv, tensors, 2, combine, out), tensors, strict=False):
        assert gradient.shape == tensor.shape
