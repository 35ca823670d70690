"""Involution against its definition, and what follows from it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from random_weights import randomise
from says import refuses

from facerec.operators.involution import Involution


def involution(channels=16, stride=1, seed=0, **arguments) -> Involution:
    torch.manual_seed(seed)
    return Involution(channels, stride, **{"group_channels": 4, **arguments})


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def with_kernel(module, kernel):
    """``module`` with the kernels (G, k * k), whatever the image."""
    torch.nn.init.zeros_(module.span.weight)
    module.span.bias.data.copy_(kernel.T.flatten())
    return module


def kernel_by_hand(module, x):
    """The kernels (B, T, G, H, W), pixel by pixel, in evaluation mode."""
    _, conv, norm, _ = module.reduce
    batch, channels, height, width = x.shape
    stride, scale = module.stride, norm.weight / (norm.running_var + norm.eps).sqrt()
    rows, columns = range(0, height, stride), range(0, width, stride)
    kernels = torch.empty(batch, module.kernel_size**2, module.groups, len(rows), len(columns))
    for b, i, j in np.ndindex(batch, len(rows), len(columns)):
        cell = x[b, :, rows[i] : rows[i] + stride, columns[j] : columns[j] + stride]
        pixel = cell.reshape(channels, -1).mean(1)
        hidden = ((conv.weight.flatten(1) @ pixel - norm.running_mean) * scale + norm.bias).relu()
        generated = module.span.weight.flatten(1) @ hidden + module.span.bias
        kernels[b, :, :, i, j] = generated.view(-1, module.groups)
    return kernels


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@torch.no_grad()
def test_output_is_the_unfolded_input_times_the_kernel_of_each_pixel(kernel_size, stride):
    module = randomise(involution(stride=stride, kernel_size=kernel_size)).eval()
    x = noise(2, 16, 7, 4)
    kernel = kernel_by_hand(module, x)
    out_size = kernel.shape[3:]
    columns = F.unfold(x, kernel_size, padding=kernel_size // 2, stride=stride).view(2, 4, 4, -1, *out_size)
    expected = (columns * kernel.transpose(1, 2).unsqueeze(2)).sum(3).flatten(1, 2)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5, check_stride=False)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_kernel_that_ignores_the_image_is_a_depthwise_convolution_shared_by_groups(stride):
    kernel, x = noise(4, 9), noise(2, 16, 7, 6)
    module = with_kernel(involution(stride=stride), kernel)
    filters = kernel.repeat_interleave(4, dim=0).view(16, 1, 3, 3)
    expected = F.conv2d(x, filters, stride=stride, padding=1, groups=16)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5, check_stride=False)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_kernel_that_is_the_centre_alone_copies_every_strides_pixel(stride):
    centre = F.one_hot(torch.tensor([4] * 4), 9).float()
    x = noise(2, 16, 7, 6)
    module = with_kernel(involution(stride=stride), centre)
    torch.testing.assert_close(module(x), x[..., ::stride, ::stride], check_stride=False)


def test_a_constant_kernel_is_average_pooling_that_counts_the_padding():
    x = noise(2, 16, 5, 6)
    module = with_kernel(involution(), torch.full((4, 9), 1 / 9))
    torch.testing.assert_close(module(x), F.avg_pool2d(x, 3, 1, 1), check_stride=False, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("group_channels", "groups"), [(1, 16), (8, 2), (16, 1)])
def test_channels_of_a_group_share_their_kernel_and_groups_do_not(group_channels, groups):
    module, x = randomise(involution(group_channels=group_channels)).eval(), noise(1, 16, 5, 5)
    kernel = module.kernel(x)
    assert kernel.shape == (1, 9, groups, 5, 5)
    assert all(not torch.allclose(kernel[:, :, 0], kernel[:, :, g], atol=1e-3) for g in range(1, groups))
    same = x.clone()
    for g in range(groups):
        same[:, g * group_channels + group_channels - 1] = same[:, g * group_channels]
    out = module(same).unflatten(1, (groups, group_channels))
    torch.testing.assert_close(out[:, :, 0], out[:, :, -1])


def test_the_kernel_comes_from_the_pixel_itself_and_its_reach_is_the_window():
    module, x = randomise(involution()).eval(), noise(1, 16, 7, 7)
    changed = x.clone()
    changed[..., 3, 3] += 1
    moved = (module.kernel(changed) != module.kernel(x)).any(dim=(0, 1, 2))
    assert moved.nonzero().tolist() == [[3, 3]]
    moved = (module(changed) != module(x)).any(dim=(0, 1))
    assert moved.nonzero().tolist() == [[i, j] for i in (2, 3, 4) for j in (2, 3, 4)]


def test_at_stride_2_the_last_row_of_an_odd_map_averages_what_is_there():
    module, x = randomise(involution(stride=2)).eval(), noise(1, 16, 5, 5)
    same = x.clone()
    same[..., :4, :] = noise(1, 16, 4, 5, seed=1)
    torch.testing.assert_close(module.kernel(same)[..., 2, :], module.kernel(x)[..., 2, :])
    repeated = F.pad(x, (0, 1, 0, 1), mode="replicate")
    torch.testing.assert_close(module.kernel(repeated)[..., 2, 2], module.kernel(x)[..., 2, 2])


# Its arguments and its cost.


@pytest.mark.parametrize(("channels", "reduction", "kernel_size"), [(48, 4, 3), (48, 4, 7), (96, 5, 3)])
def test_parameters_and_multiply_adds_of_the_formulas(channels, reduction, kernel_size):
    """Parameters C h + 2 h + h T G + T G and n (C h + h T G + T C) with h = C / r hidden channels, rounded down."""
    module = Involution(channels, 2, kernel_size=kernel_size, reduction=reduction)
    hidden, taps, groups = channels // reduction, kernel_size**2, channels // 8
    expected = channels * hidden + 2 * hidden + hidden * taps * groups + taps * groups
    assert sum(p.numel() for p in module.parameters()) == expected
    x, out = torch.zeros(1, channels, 7, 5), torch.zeros(1, channels, 4, 3)
    assert module.count_macs(x, out) == 12 * (channels * hidden + hidden * taps * groups + taps * channels)


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (
            {"group_channels": 3},
            ("group_channels=3", "16 channels", "1, 2, 4, 8, 16"),
        ),
        ({"group_channels": 0}, ("group_channels", "1", "0")),
        ({"reduction": 17}, ("reduction=17", "16 channels", "at most 16")),
        ({"reduction": 0}, ("reduction", "1", "0")),
        ({"reduction": 2.5}, ("reduction", "1", "2.5")),
        ({"kernel_size": 4}, ("kernel_size", "odd", "4")),
    ],
    ids=str,
)
def test_an_argument_out_of_its_values_is_refused_in_a_sentence(arguments, facts):
    with refuses(*facts):
        involution(**arguments)


def test_the_largest_reduction_leaves_one_channel():
    assert involution(reduction=16)(noise(2, 16, 4, 4)).isfinite().all()


def test_both_convolutions_start_with_the_deviation_of_their_outgoing_connections():
    module = involution(256, group_channels=16, reduction=2)
    reduce = next(layer for layer in module.reduce if isinstance(layer, torch.nn.Conv2d))
    assert reduce.weight.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.05)
    assert module.span.weight.std().item() == pytest.approx((2 / (9 * 16)) ** 0.5, rel=0.05)
    assert (module.span.bias == 0).all()
