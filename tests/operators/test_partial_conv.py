"""Partial convolution: which channels are convolved, how, and which pass."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from says import refuses

from facerec.operators.partial_conv import PartialConv


def operator(channels=8, stride=1, seed=0, **arguments) -> PartialConv:
    torch.manual_seed(seed)
    return PartialConv(channels, stride, **arguments)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(
    channels=st.integers(4, 11),
    share=st.integers(1, 4),
    stride=st.integers(1, 3),
    kernel_size=st.sampled_from([1, 3, 5]),
    height=st.integers(1, 7),
    width=st.integers(1, 7),
)
def test_it_is_one_convolution_with_a_dense_corner_and_ones_on_the_diagonal(
    channels, share, stride, kernel_size, height, width
):
    """A convolution over all channels: the identity, whose first C // n rows and columns hold the learned filters."""
    module, x = operator(channels, stride, share=share, kernel_size=kernel_size), noise(2, channels, height, width)
    convolved, centre = channels // share, kernel_size // 2
    whole = torch.zeros(channels, channels, kernel_size, kernel_size)
    whole[range(channels), range(channels), centre, centre] = 1
    whole[:convolved, :convolved] = module.conv.weight.detach()
    torch.testing.assert_close(module(x), F.conv2d(x, whole, stride=stride, padding=centre), rtol=1e-4, atol=1e-5)


def test_the_channels_that_pass_do_so_bit_for_bit():
    x = noise(2, 8, 7, 5)
    assert torch.equal(operator(8)(x)[:, 2:], x[:, 2:])
    assert torch.equal(operator(8, 2)(x)[:, 2:], x[:, 2:, ::2, ::2])


def test_a_share_of_1_convolves_all_channels():
    module, x = operator(4, 2, share=1), noise(2, 4, 6, 6)
    assert torch.equal(module(x), F.conv2d(x, module.conv.weight, stride=2, padding=1))


@pytest.mark.parametrize(("channels", "share", "convolved"), [(8, 4, 2), (11, 4, 2), (4, 4, 1), (7, 4, 1), (5, 1, 5)])
def test_parameters_and_multiply_adds_follow_the_share_rounded_down(channels, share, convolved):
    (weight,) = operator(channels, share=share).parameters()
    assert weight.shape == (convolved, convolved, 3, 3)


@pytest.mark.parametrize(("share", "channels"), [(4, 3), (17, 16)])
def test_a_share_that_leaves_no_channel_is_refused(share, channels):
    with refuses(f"share={share}", f"{channels} channels", f"1 to {channels}"):
        operator(channels, share=share)


def test_a_share_of_0_is_refused():
    with refuses("share", "1", "0"):
        operator(share=0)


def test_gradients_agree_with_differences():
    module, x = operator(4, 2, share=2).double(), noise(2, 4, 5, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda image, _: module(image), (x, module.conv.weight))
