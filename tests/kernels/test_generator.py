"""The generator as one function: against its layers in float64, and each convolution against the sum over its taps."""

from contextlib import nullcontext
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec.kernels import generator
from facerec.kernels.cpu import generator_cpu, layer_norm_cpu, winograd_cpu
from facerec.kernels.dispatch import exporting
from facerec.kernels.generator import generate

# Relative error of a vector.
CLOSE = 1e-5


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def maps_like(*shape, seed=0):
    return noise(*shape, seed=seed).to(memory_format=torch.channels_last)


def error(found, expected):
    return float((found.double() - expected).norm() / expected.norm())


def tap_by_tap(x, weight, groups):
    """The convolution as nine shifted products, in float64; output c * G + g is channel c of group g."""
    _, _, height, width = x.shape
    padded = torch.nn.functional.pad(x.double(), (1, 1, 1, 1))
    out = torch.zeros(len(weight), height, width, dtype=torch.float64)
    for row in range(3):
        for column in range(3):
            shifted = padded[0, :, row : row + height, column : column + width]
            out = out + torch.einsum("oi,ihw->ohw", weight[:, :, row, column].double(), shifted)
    grouped = [torch.stack([out[c] for c in range(g, len(out), groups)], dim=-1) for g in range(groups)]
    return torch.stack(grouped)


def by_definition(x, weight, groups, slope):
    """The convolution, and the gradients of x and weight."""
    x, weight = x.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    out = tap_by_tap(x, weight, groups)
    return out.detach(), *torch.autograd.grad(out, (x, weight), slope.double())


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 20), st.integers(1, 13), st.integers(1, 9), st.integers(1, 14), st.integers(1, 14), st.integers(0, 9)
)
def test_winograds_convolution_and_its_gradients_are_those_of_the_sum_over_the_taps(
    inputs, each, groups, height, width, seed
):
    x = maps_like(1, inputs, height, width, seed=seed).requires_grad_()
    weight = maps_like(groups * each, inputs, 3, 3, seed=seed + 1).requires_grad_()
    slope = noise(groups, height, width, each, seed=seed + 2)
    exact = by_definition(x, weight, groups, slope)
    # Where terms cancel, the sum is small, and the error is one of the terms.
    terms = by_definition(x.abs(), weight.abs(), groups, slope.abs())
    with torch.no_grad():
        filters = winograd_cpu.transformed_filters(weight, groups)
        out, windows = winograd_cpu.forward(x, filters, groups)
        found = winograd_cpu.gradients(slope, windows, filters)
    errors = [(f.double() - e).norm() / t.norm() for f, e, t in zip((out, *found), exact, terms, strict=True)]
    assert max(errors) < CLOSE
    assert all(f.is_contiguous(memory_format=torch.channels_last) for f in found)


@pytest.mark.parametrize("size", [(24, 24), (25, 30), (12, 12)], ids=str)
@pytest.mark.parametrize(("inputs", "groups"), [(64, 1), (64, 9), (4, 1)])
def test_at_the_sizes_of_a_network_it_is_exact_to_a_hundred_thousandth(size, inputs, groups):
    x, weight = maps_like(1, inputs, *size), maps_like(72, inputs, 3, 3, seed=1)
    out, kept = generator_cpu.convolve(x, weight, groups=groups)
    assert error(out, tap_by_tap(x, weight, groups)) < CLOSE
    by_winograd = inputs >= 16 and size[0] * size[1] >= 576
    assert (kept[0].ndim == 3) is by_winograd


@pytest.mark.parametrize("channels", [1, 3, 8, 64, 70])
@pytest.mark.parametrize("least", [0, 1 << 60], ids=["machine code", "PyTorch"])
def test_the_norm_and_its_gradients_are_those_of_its_definition(channels, least, monkeypatch):
    monkeypatch.setattr(generator_cpu, "LEAST_ELEMENTS", least)
    x = (3 + maps_like(1, channels, 9, 7)).requires_grad_()
    scale, shift = (maps_like(1, channels, 9, 7, seed=seed)[0].requires_grad_() for seed in (1, 2))
    slope = maps_like(1, channels, 9, 7, seed=3)
    precise = x.double()
    normalised = (precise - precise.mean()) / (precise.var(correction=0) + 1e-5).sqrt()
    expected = (normalised * scale + shift).clamp(min=0)
    exact = torch.autograd.grad(expected, (x, scale, shift), slope.double())
    with torch.no_grad():
        out, kept = generator_cpu.normalise(x, scale, shift, 1e-5)
        found = generator_cpu.normalisation_gradients(slope, scale, shift, kept)
    assert error(out, expected.detach()) < CLOSE
    assert max(error(f, e.double()) for f, e in zip(found, exact, strict=True)) < CLOSE


def test_nan_passes_the_norm():
    x, ones = maps_like(1, 4, 5, 5), maps_like(1, 4, 5, 5)[0]
    x[0, 1, 2, 2] = torch.nan
    assert layer_norm_cpu.forward(x, ones, ones, *torch.ones(2)).isnan().sum() == 1


def parameters(channels=16, outputs=18, size=(24, 25), layers=2, stride=1):
    """Maps, filters, scales and shifts."""
    hidden = tuple(-(-side // stride) for side in size)
    widths = [4] + [channels] * layers + [outputs]
    filters = [maps_like(o, i, 3, 3, seed=n) / (3 * i**0.5) for n, (i, o) in enumerate(pairwise(widths))]
    scales = [1 + 0.1 * maps_like(1, channels, *hidden, seed=n)[0] for n in range(10, 10 + layers)]
    shifts = [0.1 * maps_like(1, channels, *hidden, seed=n)[0] for n in range(20, 20 + layers)]
    return [maps_like(1, 4, *size), filters, scales, shifts]


def results(function, given, stride=1, groups=9, dtype=torch.float32):
    """The output, and the gradients of maps, filters, scales and shifts."""
    maps, *lists = given
    leaf, *others = (t.detach().to(dtype).requires_grad_() for t in (maps, *(t for ts in lists for t in ts)))
    ends = (len(lists[0]), len(lists[0]) + len(lists[1]))
    arranged = others[: ends[0]], others[ends[0] : ends[1]], others[ends[1] :]
    out = function(leaf, *arranged, 1e-5, stride, groups)
    slope = noise(*out.shape, seed=5).to(dtype)
    return [out.detach(), *torch.autograd.grad(out, (leaf, *others), slope)]


@pytest.mark.parametrize("machine_code", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 9])
def test_all_layers_and_their_gradients_are_pytorchs(machine_code, stride, groups, monkeypatch):
    if machine_code:
        monkeypatch.setattr(generator_cpu, "LEAST_ELEMENTS", 0)
        monkeypatch.setattr(generator_cpu, "LEAST_POSITIONS", 0)
    given = parameters(stride=stride)
    exact = results(generator.plain, given, stride, groups, torch.float64)
    found = results(generate, given, stride, groups)
    assert found[0].is_contiguous() and found[0].shape == (groups, 24, 25, 18 // groups)
    assert error(found[0], exact[0]) < CLOSE
    # No value is so close to a ReLU's bend that it rounds to its other side.
    assert max(error(f, e) for f, e in zip(found[1:], exact[1:], strict=True)) < 3 * CLOSE


def test_gradients_are_the_numerical_ones():
    maps, filters, scales, shifts = parameters(channels=2, outputs=4, size=(4, 3), stride=2)
    leaves = [t.double().requires_grad_() for t in (maps, *filters, *scales, *shifts)]

    def function(maps, *rest):
        return generate(maps, rest[:3], rest[3:5], rest[5:], 1e-5, 2, 2)

    assert torch.autograd.gradcheck(function, leaves)


def test_the_machine_codes_gradients_are_the_slopes_of_its_output(monkeypatch):
    """Along the gradient, the sum of the output's products with a fixed slope rises by the gradient's square."""
    monkeypatch.setattr(generator_cpu, "LEAST_ELEMENTS", 0)
    maps, filters, scales, shifts = parameters()
    with torch.no_grad():
        shifts = [shift + 10 for shift in shifts]  # far from the bend, so that the last layers are linear
    weight = filters[-1].clone().requires_grad_()
    shift = shifts[-1].clone().requires_grad_()

    def total(weight, shift):
        out = generate(maps, [*filters[:-1], weight], scales, [shifts[0], shift], 1e-5, 1, 9)
        return (out.double() * noise(*out.shape, seed=5)).sum()

    for leaf, moved in ((weight, lambda d: total(weight + d, shift)), (shift, lambda d: total(weight, shift + d))):
        (gradient,) = torch.autograd.grad(total(weight, shift), leaf)
        step = 0.1 * gradient / gradient.norm()
        rise = float(moved(step).detach() - moved(-step).detach())
        assert rise == pytest.approx(0.2 * float(gradient.double().norm()), rel=1e-3)


def test_parameters_in_another_order_in_memory_give_the_same():
    given = parameters()
    ours = results(generate, given)
    plain_order = [given[0].contiguous(), *([t.contiguous() for t in ts] for ts in given[1:])]
    for found, expected in zip(results(generate, plain_order), ours, strict=True):
        torch.testing.assert_close(found, expected, check_stride=False)


def test_only_what_needs_a_gradient_gets_one():
    maps, filters, scales, shifts = parameters()
    shifts[0].requires_grad_()
    generate(maps, filters, scales, shifts, 1e-5, 1, 9).sum().backward()
    assert shifts[0].grad is not None and maps.grad is None and filters[0].grad is None


@pytest.mark.parametrize("change", ["float64", "exporting", "autocast", "5 x 5"])
def test_everything_else_is_pytorchs_layers(change, monkeypatch):
    given = parameters()
    match change:
        case "float64":
            given = [given[0].double(), *([t.double() for t in ts] for ts in given[1:])]
        case "5 x 5":
            given[1] = [torch.nn.functional.pad(weight, (1, 1, 1, 1)) for weight in given[1]]
    monkeypatch.delattr(generator_cpu, "convolve")
    context = {"exporting": exporting, "autocast": lambda: torch.autocast("cpu")}.get(change, nullcontext)
    with context():
        assert torch.equal(generate(*given, 1e-5, 1, 9), generator.plain(*given, 1e-5, 1, 9))


def test_compiled_without_a_break_it_gives_the_same():
    given = parameters(channels=4, size=(5, 6))
    compiled = torch.compile(generate, backend="aot_eager", fullgraph=True)
    for found, expected in zip(results(compiled, given), results(generate, given), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, check_stride=False)


def test_bits_are_the_same_each_time_and_the_machine_codes_do_not_depend_on_the_threads():
    given = parameters(size=(32, 32), channels=64)
    first = results(generate, given)
    assert all(torch.equal(a, b) for a, b in zip(first, results(generate, given), strict=True))
    x, weight = maps_like(1, 64, 48, 47), maps_like(72, 64, 3, 3, seed=1)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            filters = winograd_cpu.transformed_filters(weight, 9)
            statistics = layer_norm_cpu.statistics(x, 1e-5)
            norm = layer_norm_cpu.gradients(x, x, x[0], x[0], *statistics)
            found.append([filters, winograd_cpu.forward(x, filters, 9)[1], *statistics, *norm])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
