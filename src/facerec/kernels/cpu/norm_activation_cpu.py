"""The BatchNorm with its activation of `facerec.kernels.norm_activation` on the CPU, in float32 and bfloat16.

Maps ``(B, C, H, W)`` are in channels_last memory; vectors over the channels, ``(C,)``, are float32. Sums are float32
over a piece of the map, whose size does not depend on the number of threads, and float64 over the pieces: the results
do not depend on the number of threads either.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from facerec.kernels.cpu.jit import DTYPES, program
from facerec.kernels.cpu.norm_loops import gradient_sums, input_gradient, normalise, statistics

# The longest row, in elements, that several positions make; a multiple of every unrolled loop's vectors where it can.
_LONGEST_ROW, _WHOLE_VECTORS = 2048, 64
_LARGE_BYTES = 1 << 22
# Elements of a piece: few enough for float32 sums, many enough that the sums are few.
_PIECE = 1 << 16
# Positions whose mean is subtracted before squares are summed.
_SAMPLE = 64


@dataclass(frozen=True)
class _Rows:
    """A map as rows of several positions: positions per row, elements per row, and the pieces as a table of offset,
    number of rows and length of a row."""

    positions: int
    period: int
    items: np.ndarray


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance ``(C,)`` of each channel of ``(B, C, H, W)``."""
    over_positions = x.permute(0, 2, 3, 1).flatten(0, 2)
    count = len(over_positions)
    shift = over_positions[:: -(-count // _SAMPLE)].float().mean(0)
    first, second = sums(statistics, (), 2, (shift,), x) / count
    return (shift + first).float(), (second - first.square()).clamp_(min=0).float()


def forward(
    x: Tensor, mean: Tensor, scale: Tensor, bias: Tensor, slope: Tensor | None, shortcut: Tensor | None, activation: str
) -> Tensor:
    """Return ``activation((x - mean) * scale + bias)``, plus ``shortcut`` if there is one, like ``x``."""
    out = torch.empty_like(x)
    maps = (x,) if shortcut is None else (x, shortcut)
    columns = (mean, scale, bias, *_of(slope))
    run(normalise, (activation, shortcut is not None, _past_cache(out)), (out,), columns, *maps)
    return out


def sums_of_gradient(
    grad_out: Tensor, x: Tensor, mean: Tensor, scale: Tensor, bias: Tensor, slope: Tensor | None, activation: str
) -> list[Tensor]:
    """Return the sums, float64 ``(C,)``, of the gradient before the activation, of its product with ``x - mean`` and,
    with a slope, of the slope's gradient."""
    columns = (mean, scale, bias, *_of(slope))
    return list(sums(gradient_sums, (activation,), 2 if slope is None else 3, columns, x, grad_out))


def gradient(
    grad_out: Tensor,
    x: Tensor,
    mean: Tensor,
    scale: Tensor,
    bias: Tensor,
    slope: Tensor | None,
    along: Tensor,
    constant: Tensor,
    activation: str,
) -> Tensor:
    """Return ``scale`` times the gradient before the activation, plus ``(x - mean) * along + constant``, like ``x``."""
    out = torch.empty_like(x)
    columns = (mean, scale, bias, *_of(slope), along, constant)
    run(input_gradient, (activation, _past_cache(out)), (out,), columns, x, grad_out)
    return out


def _of(slope: Tensor | None) -> tuple[Tensor, ...]:
    return () if slope is None else (slope,)


def sums(build, options: tuple[str, ...], number: int, columns: tuple[Tensor, ...], *maps: Tensor) -> Tensor:
    """Return sums over all positions, float64 ``(number, C)``."""
    rows = _rows_of(maps[0])
    found = torch.zeros(len(rows.items), number, rows.period)
    run(build, options, (found,), columns, *maps)
    return found.sum(0, dtype=torch.float64).view(number, rows.positions, -1).sum(1)


def run(build, options: tuple, results: tuple[Tensor, ...], columns: tuple[Tensor, ...], *maps: Tensor) -> None:
    """Call the loop of ``build`` and ``options`` over ``maps``, with ``columns``, ``(C,)`` each, for each position."""
    rows = _rows_of(maps[0])
    repeated = torch.stack(columns)[:, None].expand(-1, rows.positions, -1).contiguous()
    addresses = [tensor.data_ptr() for tensor in (repeated, *results, *maps)]
    program(build, *options, DTYPES[maps[0].dtype]).call(rows.items, rows.period, *addresses)


def _past_cache(out: Tensor) -> bool:
    """Whether to write the map past the cache, which would read each line before it is written.

    The next reader does not find it in a core's own cache then, in which a map of this size has no place anyway.
    """
    aligned = out.data_ptr() % 64 == 0 and _rows_of(out).period % _WHOLE_VECTORS == 0
    return aligned and out.nbytes >= _LARGE_BYTES


def _rows_of(x: Tensor) -> _Rows:
    return _rows(x.numel() // x.shape[1], x.shape[1])


@cache
def _rows(positions: int, channels: int) -> _Rows:
    together = _WHOLE_VECTORS // math.gcd(channels, _WHOLE_VECTORS)
    while together > 1 and together * channels > _LONGEST_ROW:
        together //= 2
    period, (rows, rest) = together * channels, divmod(positions, together)
    piece = max(1, _PIECE // period)
    items = [(start * period, min(piece, rows - start), period) for start in range(0, rows, piece)]
    if rest:
        items.append((rows * period, 1, rest * channels))
    return _Rows(together, period, np.array(items, np.int64))
