"""Deformable convolution against sampling written out with hat functions, and what a moved tap has to see."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from random_weights import randomise

from facerec.operators.deformable_conv import DeformableConv


def operator(channels=3, stride=1, seed=0, **arguments) -> DeformableConv:
    torch.manual_seed(seed)
    return DeformableConv(channels, stride, **arguments)


def moved(*arguments, **options) -> DeformableConv:
    """With offsets of about a pixel, none of them whole."""
    module = randomise(operator(*arguments, **options))
    torch.nn.init.normal_(module.predict.weight, std=0.3)
    torch.nn.init.normal_(module.predict.bias, std=0.5)
    return module


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def read_between_pixels(channel, row, column):
    """The value of a map (H, W) at a point: each pixel counts by its distance in rows and columns (arXiv 1703.06211,
    equations 3 and 4)."""
    height, width = channel.shape
    rows = (1 - (torch.arange(height) - row).abs()).clamp(min=0)
    columns = (1 - (torch.arange(width) - column).abs()).clamp(min=0)
    return rows @ channel @ columns


def by_hand(module, x, kernel, stride):
    """Every image, channel, position and tap in turn."""
    predicted = F.conv2d(x, module.predict.weight, module.predict.bias, stride, kernel // 2) * 0.1**0.5
    out = torch.zeros(*x.shape[:2], *predicted.shape[2:])
    for image, channel, i, j in itertools.product(*map(range, out.shape)):
        for tap in range(kernel**2):
            down, right = predicted[image, 2 * tap : 2 * tap + 2, i, j]
            modulation = torch.sigmoid(predicted[image, 2 * kernel**2 + tap, i, j])
            row = stride * i + tap // kernel - kernel // 2 + down
            column = stride * j + tap % kernel - kernel // 2 + right
            found = read_between_pixels(x[image, channel], row, column)
            out[image, channel, i, j] += module.weight[channel].flatten()[tap] * modulation * found
    return out


@torch.no_grad()
@pytest.mark.parametrize(
    ("size", "stride", "kernel"), [((4, 3), 1, 3), ((5, 4), 2, 3), ((2, 2), 2, 3), ((3, 4), 1, 5), ((3, 3), 1, 1)]
)
def test_it_reads_between_pixels_as_written_out_by_hand(size, stride, kernel):
    module, x = moved(2, stride, kernel_size=kernel), noise(2, 2, *size)
    torch.testing.assert_close(module(x), by_hand(module, x, kernel, stride), rtol=1e-4, atol=1e-5, check_stride=False)


@pytest.mark.parametrize("stride", [1, 2])
def test_at_the_start_it_is_a_depthwise_convolution_with_every_tap_halved(stride):
    module, x = operator(3, stride), noise(2, 3, 7, 5)
    expected = F.conv2d(x, module.weight / 2, stride=stride, padding=1, groups=3)
    torch.testing.assert_close(module(x), expected, check_stride=False)


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (3, 2), (5, 1)])
def test_it_starts_from_a_depthwise_convolution(kernel_size, stride):
    module, x = moved(3, stride, kernel_size=kernel_size), noise(2, 3, 7, 5)
    weight = noise(3, 1, kernel_size, kernel_size, seed=1)
    module.start_from(weight)
    expected = F.conv2d(x, weight, stride=stride, padding=kernel_size // 2, groups=3)
    torch.testing.assert_close(module(x), expected, check_stride=False)


@torch.no_grad()
@pytest.mark.parametrize(("down", "right"), [(0.0, 1.0), (-1.0, 0.0), (0.5, 0.0), (0.25, -0.5)])
def test_taps_that_all_move_alike_see_the_moved_image(down, right):
    module, x = operator(), noise(2, 3, 8, 8)
    offsets = torch.tensor([down, right]).repeat(9)
    module.predict.bias[:18] = offsets / 0.1**0.5
    sampled = torch.stack(
        [
            read_between_pixels(channel, i + down, j + right)
            for channel in x.flatten(0, 1)
            for i in range(8)
            for j in range(8)
        ]
    ).view_as(x)
    expected = F.conv2d(sampled, module.weight / 2, padding=1, groups=3)
    inside = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(module(x)[inside], expected[inside], rtol=1e-4, atol=1e-5, check_stride=False)


@torch.no_grad()
def test_a_tap_that_is_switched_off_or_outside_sees_nothing():
    module, x = operator(), noise(2, 3, 6, 6)
    module.predict.bias[18 + 4] = -100
    module.weight[:, :, 1, 1] = 0
    expected = module(x)
    module.weight[:, :, 1, 1] = 7
    torch.testing.assert_close(module(x), expected)
    module.predict.bias[18 + 4] = 0
    module.predict.bias[8] = -1000
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_at_the_start_every_offset_and_every_modulation_gets_a_gradient(stride):
    module = operator(3, stride)
    module(noise(2, 3, 6, 6)).square().sum().backward()
    assert (module.predict.weight.grad.flatten(1).abs().amax(1) > 0).all()
    assert (module.predict.bias.grad.abs() > 0).all()


def test_gradient_of_an_offset_on_a_pixel_is_that_of_a_move_down_or_right():
    module, x = operator(1).double(), noise(1, 1, 6, 6).double()
    out = module(x).sum()
    out.backward()
    for offset in range(18):
        bias = module.predict.bias.detach().clone()
        bias[offset] += 1e-3
        with torch.no_grad():
            change = torch.func.functional_call(module, {"predict.bias": bias}, x).sum() - out
        torch.testing.assert_close(module.predict.bias.grad[offset], change / 1e-3)


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_agree_with_differences_between_pixels(stride):
    module, x = moved(2, stride).double(), noise(2, 2, 4, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda image, *_: module(image), (x, *module.parameters()))


def test_under_autocast_it_samples_in_float32_and_returns_the_type_of_the_input():
    module, x = moved(), noise(2, 3, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        assert {tensor.dtype for tensor in module.offsets_and_modulation(x.bfloat16())} == {torch.float32}
        assert module(x.bfloat16()).dtype == torch.bfloat16


def test_it_counts_the_prediction_and_six_a_tap():
    module, out = operator(8, 2), torch.zeros(1, 8, 4, 3)
    assert module.count_macs(noise(1, 8, 7, 5), out) == 12 * (27 * 9 * 8) + 6 * 9 * 8 * 12
    assert sum(parameter.numel() for parameter in module.parameters()) == 252 * 8 + 27


def test_what_is_no_number_comes_out_as_such_and_does_not_end_the_process():
    module = DeformableConv(3)
    assert module(torch.full((2, 3, 6, 5), float("nan"))).isnan().all()
    for broken in (float("inf"), float("nan")):
        torch.nn.init.constant_(module.predict.weight, broken)
        out = module(torch.ones(2, 3, 6, 5))
    assert out.isnan().all()


def test_offsets_are_always_numbers():
    module = DeformableConv(3)
    offsets, modulation = module.offsets_and_modulation(torch.full((1, 3, 4, 4), float("nan")))
    assert offsets.isfinite().all() and modulation.isnan().all()
