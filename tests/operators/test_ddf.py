"""Decoupled dynamic filters against their definition, and what follows from it."""

import math

import pytest
import torch
import torch.nn.functional as F
from random_weights import randomise
from says import refuses

from facerec.operators.ddf import DDF

COMBINES = pytest.mark.parametrize("combine", ["mul", "add"])
STRIDES = pytest.mark.parametrize("stride", [1, 2])


def ddf(channels=6, stride=1, seed=0, **arguments) -> DDF:
    torch.manual_seed(seed)
    return DDF(channels, stride, **arguments)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def normalised(values):
    """Along the last dimension, by the textbook."""
    return (values - values.mean(-1, keepdim=True)) / (values.std(-1, keepdim=True) ** 2 + 1e-5).sqrt()


def filters_by_hand(module, x, stride):
    """Of one image (C, H, W): spatial filters (H, W, T) and channel filters (C, T)."""
    taps, pixels = module.kernel_size**2, x[:, ::stride, ::stride].permute(1, 2, 0)
    spatial = pixels @ module.spatial.weight.flatten(1).T + module.spatial.bias
    hidden = (module.squeeze.weight @ x.mean((1, 2)) + module.squeeze.bias).clamp(min=0)
    channel = (module.excite.weight @ hidden + module.excite.bias).view(-1, taps)
    return math.sqrt(2) / module.kernel_size * normalised(spatial), module.gain * normalised(channel)


@COMBINES
@STRIDES
@pytest.mark.parametrize("kernel_size", [3, 5])
@torch.no_grad()
def test_output_is_the_unfolded_input_times_the_combined_filters(kernel_size, stride, combine):
    module = randomise(ddf(6, stride, kernel_size=kernel_size, combine=combine))
    x, out_size = noise(2, 6, 7, 4), (-(-7 // stride), 4 // stride)
    columns = F.unfold(x, kernel_size, padding=kernel_size // 2, stride=stride).view(2, 6, -1, *out_size)
    for image, taps, out in zip(x, columns, module(x), strict=True):
        spatial, channel = filters_by_hand(module, image, stride)
        spatial, channel = spatial.permute(2, 0, 1), channel[:, :, None, None]
        filters = spatial * channel if combine == "mul" else spatial + channel
        torch.testing.assert_close(out, (taps * filters).sum(1), rtol=1e-4, atol=1e-5, check_stride=False)


@COMBINES
def test_filters_have_mean_0_and_their_gain_as_deviation_over_the_taps(combine):
    module, x = ddf(16, combine=combine), 10 * noise(2, 16, 6, 6)
    spatial = module.spatial_filter(x)
    torch.testing.assert_close(spatial.mean(1), torch.zeros(2, 6, 6), rtol=0, atol=1e-6)
    torch.testing.assert_close(spatial.std(1), torch.full((2, 6, 6), math.sqrt(2) / 3), rtol=1e-3, atol=0)
    channel = module.channel_filter(x) / module.gain
    torch.testing.assert_close(channel.mean(2), torch.zeros(2, 16), rtol=0, atol=1e-4)
    torch.testing.assert_close(channel.std(2), torch.ones(2, 16), rtol=1e-2, atol=0)


@STRIDES
def test_add_is_a_depthwise_convolution_of_each_image_plus_one_filter_a_position(stride):
    module, x = randomise(ddf(6, stride, combine="add")), noise(2, 6, 6, 4)
    filters = module.channel_filter(x).view(2, 6, 1, 3, 3)
    each = [F.conv2d(image[None], f, stride=stride, padding=1, groups=6) for image, f in zip(x, filters, strict=True)]
    columns = F.unfold(x, 3, padding=1, stride=stride).view(2, 6, 9, 6 // stride, 4 // stride)
    expected = torch.cat(each) + (columns * module.spatial_filter(x).unsqueeze(1)).sum(2)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5, check_stride=False)


def test_positions_share_the_channel_filters_and_channels_the_spatial_ones():
    module, x = randomise(ddf()), noise(1, 6, 7, 7)
    shuffled = x.flatten(2)[..., torch.randperm(49)].view_as(x)
    torch.testing.assert_close(module.channel_filter(shuffled), module.channel_filter(x))
    changed = x.clone()
    changed[..., 3, 3] += 1
    moved = (module.spatial_filter(changed) != module.spatial_filter(x)).any(dim=(0, 1))
    assert moved.nonzero().tolist() == [[3, 3]]


# Where normalising is dangerous.


@COMBINES
@pytest.mark.parametrize("without_offsets", [False, True], ids=["at the start", "without offsets"])
@pytest.mark.parametrize("channels", [8, 960])
@pytest.mark.parametrize("dead", ["pixel", "image"])
def test_the_gradient_stays_bounded_where_a_pixel_or_an_image_is_all_zero(dead, channels, without_offsets, combine):
    """The published 1e-10 in the denominator gives 1e10. Here the offsets keep it small, and where weight decay took
    them, 1 / sqrt(1e-5) = 316 bounds it."""
    module, x = ddf(channels, combine=combine), noise(2, channels, 6, 6).clamp(0, 6)
    if dead == "pixel":
        x[:, :, 2, 2] = 0
    else:
        x[0] = 0
    if without_offsets:
        for layer in (module.spatial, module.squeeze, module.excite):
            torch.nn.init.zeros_(layer.bias)
    x.requires_grad_()
    out = module(x)
    assert out.isfinite().all()
    out.mean((0, 2, 3)).sum().backward()
    largest = max(tensor.grad.abs().max().item() for tensor in (x, *module.parameters()))
    assert 0 < largest < (10_000 if without_offsets else 1000)


def test_float16_sums_do_not_overflow():
    """96 x 96 positions of 60 sum to 552,960; float16 ends at 65,504."""
    module, x = ddf().half(), torch.full((1, 6, 96, 96), 60.0, dtype=torch.float16)
    assert module.channel_filter(x).isfinite().all()


def test_normalisation_runs_in_float32_under_autocast():
    module, x = ddf(), noise(2, 6, 6, 6).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert module.spatial(x).dtype == torch.bfloat16
        assert module.spatial_filter(x).dtype == module.channel_filter(x).dtype == torch.float32
        assert module(x).dtype == torch.bfloat16


@pytest.mark.parametrize("channels", [1, 4, 8])
def test_even_the_narrowest_channel_branch_is_alive_at_the_start(channels):
    """ReLU6 outputs of which about half are 0; few hidden units, int(0.2 C), must not all be dead."""
    x = noise(4, channels, 6, 6).clamp(0, 6)
    for seed in range(20):
        module = ddf(channels, seed=seed)
        assert module.squeeze.out_features == max(1, channels // 5)
        assert (module.squeeze(x.mean((2, 3))) > 0).all(1).all()


# Starting as a depthwise convolution.


@COMBINES
@STRIDES
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_it_starts_as_a_given_depthwise_convolution_border_included_and_still_learns(kernel_size, stride, combine):
    module = ddf(6, stride, kernel_size=kernel_size, combine=combine)
    weight, x = noise(6, 1, kernel_size, kernel_size, seed=1), noise(2, 6, 7, 4)
    module.start_from(weight)
    expected = F.conv2d(x, weight, stride=stride, padding=kernel_size // 2, groups=6)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5, check_stride=False)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        module(x).square().sum().backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in module.parameters())
    spatial = module.spatial_filter(x)
    assert not torch.allclose(spatial, spatial[..., :1, :1].expand_as(spatial), atol=1e-3)


# Its arguments and its cost.


@COMBINES
@pytest.mark.parametrize(("channels", "hidden"), [(48, 9), (4, 1)])
def test_parameters_and_multiply_adds_of_the_formulas(channels, hidden, combine):
    """Parameters T C + T + C m + m + T m C + T C + T C and multiply-adds 3 n T C + C m + T m C."""
    module = DDF(channels, 2, combine=combine)
    expected = 9 * channels + 9 + channels * hidden + hidden + 9 * hidden * channels + 9 * channels + 9 * channels
    assert sum(p.numel() for p in module.parameters()) == expected
    x, out = torch.zeros(1, channels, 7, 5), torch.zeros(1, channels, 4, 3)
    assert module.count_macs(x, out) == 3 * 12 * 9 * channels + channels * hidden + 9 * hidden * channels


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"combine": "max"}, ("combine", "mul", "add", "max")),
        ({"kernel_size": 2}, ("kernel_size", "odd", "2")),
        (
            {"kernel_size": 1},
            ("kernel_size", "at least 3", "1", "mean"),
        ),
        ({"squeeze_ratio": 0}, ("squeeze_ratio", "0", "1")),
        ({"squeeze_ratio": 1.5}, ("squeeze_ratio", "0", "at most 1", "1.5")),
        ({"squeeze_ratio": math.nan}, ("squeeze_ratio", "0", "1", "nan")),
    ],
    ids=str,
)
def test_an_argument_out_of_its_values_is_refused_in_a_sentence(arguments, facts):
    with refuses(*facts):
        ddf(**arguments)


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_the_learned_gain_starts_with_the_deviation_that_the_spatial_filter_has(kernel_size):
    gain = ddf(400, kernel_size=kernel_size).gain
    assert gain.std().item() == pytest.approx(2**0.5 / kernel_size, rel=0.05)
    assert gain.mean().item() == pytest.approx(0, abs=0.05) and (gain < 0).any()
