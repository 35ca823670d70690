"""The layer norm with a ReLU of `facerec.kernels.generator` on the CPU, in float32.

It has the loops of a BatchNorm, with a scale and a shift that are maps, and the same mean for all channels. Maps
``(1, C, H, W)`` are in channels_last memory, and so are scale and shift, ``(C, H, W)``. Sums are as in
`facerec.kernels.cpu.norm_activation_cpu`.
"""

import torch
from torch import Tensor

from facerec.kernels.cpu.ir_builder import LoopBuilder, Storage, Value
from facerec.kernels.cpu.norm_activation_cpu import moments, run, sums
from facerec.kernels.cpu.norm_loops import Columns, Loop
from facerec.kernels.cpu.vector_functions import gradient_before, value_after


def statistics(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return the mean and the reciprocal standard deviation of all values."""
    means, variances = (of_channels.double() for of_channels in moments(x))
    variance, mean = torch.var_mean(means, correction=0)
    return mean.float(), (variances.mean() + variance + eps).rsqrt().float()


def forward(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
    """Return ``relu((x - mean) * rstd * weight + bias)``, like ``x``."""
    out = torch.empty_like(x)
    run(_normalise, (), (out,), _columns(x, mean, rstd), x, weight, bias)
    return out


def gradients(
    grad_out: Tensor, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, rstd: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, weight and bias, each like its own."""
    maps, columns = (x, weight, bias, grad_out), _columns(x, mean, rstd)
    constant, along = (sums(_sums, (), 2, columns, *maps).sum(1) / x.numel()).float()
    found = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(bias)
    run(_gradients, (), found, _columns(x, mean, rstd, constant, along), *maps)
    return found


def _columns(x: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    return tuple(value.expand(x.shape[1]) for value in values)


def _normalise(storage: Storage, vector_width: int):
    """Build the output from x, weight and bias."""

    def body(b: LoopBuilder, columns: Columns, maps: list[Value], width: int) -> list[Value]:
        return [value_after(b, "relu", b.multiply_add(_normalised(b, columns, maps[0]), *maps[1:]), None, width)]

    return Loop(body, ("mean", "rstd"), maps=3, storage=storage).build(vector_width)


def _sums(storage: Storage, vector_width: int):
    """Build the sums of the normalised x's gradient, and of its product with the normalised x; maps as `_gradients`."""

    def body(b: LoopBuilder, columns: Columns, maps: list[Value], width: int) -> list[Value]:
        normalised, before = _before(b, columns, maps, width)
        gradient = b.fmul(before, maps[1])
        return [gradient, b.fmul(gradient, normalised)]  # pyright: ignore[reportArgumentType]

    return Loop(body, ("mean", "rstd"), maps=4, storage=storage, sums=2).build(vector_width)


def _gradients(storage: Storage, vector_width: int):
    """Build the gradients of x, weight and bias from x, weight, bias and the gradient of the output; the columns'
    ``constant`` and ``along`` are the means of what `_sums` sums."""

    def body(b: LoopBuilder, columns: Columns, maps: list[Value], width: int) -> list[Value]:
        normalised, before = _before(b, columns, maps, width)
        rest = b.multiply_add(normalised, columns["along"], columns["constant"])
        of_x = b.fmul(columns["rstd"], b.fsub(b.fmul(before, maps[1]), rest))
        return [of_x, b.fmul(before, normalised), before]  # pyright: ignore[reportReturnType]

    names = ("mean", "rstd", "constant", "along")
    return Loop(body, names, maps=4, storage=storage, written=3).build(vector_width)


def _before(b: LoopBuilder, columns: Columns, maps: list[Value], width: int) -> tuple[Value, Value]:
    """Return the normalised x, and the gradient before the ReLU."""
    x, weight, bias, grad_out = maps
    normalised = _normalised(b, columns, x)
    return normalised, gradient_before(b, "relu", grad_out, b.multiply_add(normalised, weight, bias), None, width)


def _normalised(b: LoopBuilder, columns: Columns, x: Value) -> Value:
    return b.fmul(b.fsub(x, columns["mean"]), columns["rstd"])
