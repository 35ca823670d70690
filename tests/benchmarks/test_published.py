"""The competitor computes what our operator computes, so that their times can be compared."""

import pytest
import torch
from random_weights import randomise

from facerec.deploy import reparameterize
from facerec.operators.tvconv import TVConv
from facerec.perf.published import PublishedTVConv, unfold_multiply_sum, windows_einsum

SIZES = pytest.mark.parametrize(
    ("in_size", "stride", "out_size"), [((6, 5), 1, (6, 5)), ((7, 6), 2, (4, 3)), ((1, 1), 1, (1, 1))], ids=str
)
KERNELS = pytest.mark.parametrize("kernel_size", [1, 3, 5])


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def pair(stride, out_size, kernel_size):
    """Ours and the published one, with the same parameters."""
    arguments = {"kernel_size": kernel_size, "generator_channels": 6, "generator_layers": 1}
    ours = randomise(TVConv(4, stride, out_size, **arguments))
    published = PublishedTVConv(4, stride, out_size, **arguments)
    published.load_state_dict(ours.state_dict())
    return ours, published


@KERNELS
@SIZES
def test_output_and_gradients_are_ours(in_size, stride, out_size, kernel_size):
    results = []
    for module in pair(stride, out_size, kernel_size):
        x = noise(2, 4, *in_size).requires_grad_()
        out = module(x)
        out.square().sum().backward()
        gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
        results.append((out, x.grad, gradients))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-4)


@KERNELS
@SIZES
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_the_inference_form_gives_the_same(in_size, stride, out_size, kernel_size, memory_format):
    ours, published = pair(stride, out_size, kernel_size)
    x = noise(2, 4, *in_size).to(memory_format=memory_format)
    torch.testing.assert_close(reparameterize(published)(x), reparameterize(ours)(x), rtol=1e-5, atol=1e-5)


def test_by_default_it_is_as_large_as_ours():
    ours, published = (
        {name: tensor.shape for name, tensor in operator(8, 2, (5, 4)).state_dict().items()}
        for operator in (TVConv, PublishedTVConv)
    )
    assert ours == published


def test_a_window_is_weighted_tap_by_tap():
    x = torch.arange(1.0, 10).view(1, 1, 3, 3)
    weight = torch.zeros(1, 9, 3, 3)
    weight[0, 0] = 1  # the number to the upper left
    weight[0, 5] = 10  # the one to the right
    expected = [[20, 30, 0], [50, 61, 2], [80, 94, 5]]
    for form in (unfold_multiply_sum, windows_einsum):
        assert form(x, weight, 1)[0, 0].tolist() == expected
