"""Machine code on several threads: the same bits as on one, and bfloat16 as PyTorch rounds it."""

import pytest
import torch

from facerec.kernels.cpu import program, threads
from facerec.kernels.cpu.position_dependent import forward, input_gradient, weight_gradient


@pytest.fixture
def use_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def results():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(19, 24, 14, 10, generator=generator).to(memory_format=torch.channels_last)
    weight = torch.randn(9, 7, 5, 24, generator=generator)
    grad_out = torch.randn(19, 24, 7, 5, generator=generator).to(memory_format=torch.channels_last)
    return forward(x, weight, 2), input_gradient(grad_out, weight, 2, (14, 10)), weight_gradient(x, grad_out, 3, 2)


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("find", ["openmp", "python"])
def test_threads_change_no_bit(find, count, use_threads, monkeypatch):
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


@pytest.mark.parametrize("width", [1, 4, 8, 16])
def test_narrower_vectors_give_the_same_numbers(width, monkeypatch):
    expected = results()
    monkeypatch.setattr(program, "_vector_width", lambda: width)
    program.program.cache_clear()
    for mine, theirs in zip(results(), expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    program.program.cache_clear()


def test_bfloat16_is_rounded_to_the_nearest_even_and_what_is_no_number_stays_none():
    special = [float("nan"), float("inf"), float("-inf"), 3.4e38, 1e-40]
    ties = [1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 1 + 2**-8 + 2**-20]
    factors = torch.tensor([*special, *ties, *torch.randn(60).tolist()])
    out = forward(torch.ones(1, len(factors), 1, 1, dtype=torch.bfloat16), factors.view(1, 1, 1, -1), 1)
    torch.testing.assert_close(out.flatten(), factors.bfloat16(), rtol=0, atol=0, equal_nan=True)
