"""Machine code on several threads: the same bits as on one, and bfloat16 as PyTorch rounds it."""

from functools import partial

import pytest
import torch

from facerec.kernels.cpu import jit as program
from facerec.kernels.cpu import pixel_dependent_cpu as pixel_dependent
from facerec.kernels.cpu import threads
from facerec.kernels.cpu.position_dependent_cpu import forward, input_gradient, weight_gradient


@pytest.fixture
def use_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def maps(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)


def of_positions():
    x, grad_out = maps(19, 24, 14, 10), maps(19, 24, 7, 5)
    weight = torch.randn(9, 7, 5, 24, generator=torch.Generator().manual_seed(0))
    return forward(x, weight, 2), input_gradient(grad_out, weight, 2, (14, 10)), weight_gradient(x, grad_out, 3, 2)


def of_pixels(groups=1, combine=None):
    x, grad_out, weight = maps(5, 24, 14, 10), maps(5, 24, 7, 5), maps(5, 9 * groups, 7, 5).unflatten(1, (9, groups))
    weights = (weight, 2, None if combine is None else maps(5, 24, 9, 1).squeeze(3), combine)
    gradients = pixel_dependent.weight_gradients(x, grad_out, *weights)
    results = pixel_dependent.forward(x, *weights), pixel_dependent.input_gradient(grad_out, *weights, (14, 10))
    return *results, *gradients[: 1 if combine is None else 2]


RESULTS = {
    "positions": of_positions,
    "groups": partial(of_pixels, 3),
    "one group": of_pixels,
    "times channels": partial(of_pixels, 1, "mul"),
    "plus channels": partial(of_pixels, 1, "add"),
}
LOOPS = pytest.mark.parametrize("results", RESULTS.values(), ids=RESULTS)


@LOOPS
@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("find", ["openmp", "python"])
def test_threads_change_no_bit(results, find, count, use_threads, monkeypatch):
    use_threads(1)
    alone = results()
    use_threads(count)
    if find == "python":
        region = threads._of_python()
        monkeypatch.setattr(threads, "_parallel_region", lambda: region)
    for mine, expected in zip(results(), alone, strict=True):
        assert torch.equal(mine, expected)


def test_without_openmp_python_starts_the_threads(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(threads.ctypes, "CDLL", missing)
    region = threads._parallel_region.__wrapped__()
    assert "_of_python" in region.__qualname__


@LOOPS
@pytest.mark.parametrize("width", [1, 4, 8, 16])
def test_narrower_vectors_give_the_same_numbers(results, width, monkeypatch):
    expected = results()
    monkeypatch.setattr(program, "_vector_width", lambda: width)
    program.program.cache_clear()
    for mine, theirs in zip(results(), expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    program.program.cache_clear()


@pytest.mark.parametrize("width", [1, 4, 8, 16])
def test_bfloat16_is_rounded_to_the_nearest_even_and_what_is_no_number_stays_none(width, monkeypatch):
    """In pairs of vectors, in vectors, and in single numbers."""
    monkeypatch.setattr(program, "_vector_width", lambda: width)
    program.program.cache_clear()
    special = [float("nan"), float("inf"), float("-inf"), 3.4e38, 1e-40]
    ties = [1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 1 + 2**-8 + 2**-20]
    factors = torch.tensor([*special, *ties, *torch.randn(202).tolist()])
    out = forward(torch.ones(1, len(factors), 1, 1, dtype=torch.bfloat16), factors.view(1, 1, 1, -1), 1)
    torch.testing.assert_close(out.flatten(), factors.bfloat16(), rtol=0, atol=0, equal_nan=True)
    program.program.cache_clear()


@pytest.mark.parametrize("width", [4, 8, 16])
def test_each_bfloat16_number_is_read_as_it_is_wherever_it_stands(width, monkeypatch):
    monkeypatch.setattr(program, "_vector_width", lambda: width)
    program.program.cache_clear()
    numbers = torch.arange(-(1 << 15), 1 << 15, dtype=torch.int16).view(torch.bfloat16)
    numbers = numbers[numbers.isfinite()]
    x, ones = numbers.view(1, -1, 1, 1), torch.ones(1, 1, 1, len(numbers))
    for result in (forward(x, ones, 1), input_gradient(x, ones, 1, (1, 1)), weight_gradient(x, x, 1, 1)):
        expected = numbers.float().square() if result.dtype == torch.float32 else numbers
        torch.testing.assert_close(result.flatten(), expected, rtol=0, atol=0)
    program.program.cache_clear()
