"""The position-dependent convolution of `facerec.kernels.position_dependent` on a GPU: tile sizes and launches of the
kernels in `facerec.kernels.gpu.triton_loops`.

B images, C channels, (H, W) output map, (H_in, W_in) input map, k kernel side, T = k * k taps, row by row.
"""

from functools import cache
from math import gcd
from typing import Any, NamedTuple

import torch
from torch import Tensor

from facerec.kernels.gpu import triton_loops as loops

# Enough programs to fill an H200 about eight times, so that the last ones leave little of it idle; twice where each
# program writes T sums per position. With fewer images per program, reading the weights or writing the sums costs more
# than the parallelism gains.
_PROGRAMS, _SUMMING_PROGRAMS = 2048, 792
_IMAGES, _SUMMED_IMAGES = 8, 32
# Offsets within one program's images are 32-bit integers.
_MAX_OFFSET = 2**31 - 1


def forward(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve ``x``, ``(B, C, H_in, W_in)`` in channels_last memory, with ``weight``, contiguous ``(T, H, W, C)`` in
    float32 or the type of ``x``.

    Returns ``(B, C, H, W)`` in channels_last memory, of the type of ``x``. Sums are float32.
    """
    out = x.new_empty(len(x), *weight.shape[1:]).permute(0, 3, 1, 2)
    tiling = _tiling(tuple(weight.shape), stride, x.element_size())
    images = max(_IMAGES, -(-len(x) * tiling.tiles // _PROGRAMS))
    _launch(loops.forward_kernel, (x, weight, out), _evenly(images, x, out), x, out, stride, tiling)
    return out


def input_gradient(grad_out: Tensor, weight: Tensor, stride: int, in_size: tuple[int, int]) -> Tensor:
    """Return the gradient of the input of ``in_size``, in channels_last memory like ``grad_out``."""
    grad_x = grad_out.new_empty(len(grad_out), *in_size, weight.shape[3]).permute(0, 3, 1, 2)
    tiling = _tiling(tuple(weight.shape), stride, grad_out.element_size())
    images = _evenly(max(_IMAGES, -(-len(grad_x) * tiling.tiles // _PROGRAMS)), grad_x, grad_out)
    _launch(loops.input_gradient_kernel, (grad_out, weight, grad_x), images, grad_x, grad_out, stride, tiling)
    return grad_x


def weight_gradient(x: Tensor, grad_out: Tensor, kernel_size: int, stride: int) -> Tensor:
    """Return the gradient ``(T, H, W, C)`` of the weights, float32, from two maps in channels_last memory.

    The same maps always give the same bits.
    """
    shape = (kernel_size**2, *grad_out.shape[2:], x.shape[1])
    tiling = _tiling(shape, stride, x.element_size(), summing=True)
    programs = min(-(-len(x) // _SUMMED_IMAGES), max(1, _SUMMING_PROGRAMS // tiling.tiles))
    images = _evenly(-(-len(x) // max(1, programs)), x, grad_out)
    sums = x.new_empty(-(-len(x) // images), *shape, dtype=torch.float32)
    _launch(loops.weight_gradient_kernel, (x, grad_out, sums), images, x, grad_out, stride, tiling)
    return sums[0] if len(sums) == 1 else sums.sum(dim=0)


def _evenly(images: int, x: Tensor, out: Tensor) -> int:
    """Adjust the number of images per program so that all programs get about as many and no offset exceeds
    `_MAX_OFFSET`."""
    batch, image_size = len(x), max(x.shape[1:].numel(), out.shape[1:].numel())
    programs = -(-batch // max(1, min(images, _MAX_OFFSET // image_size)))
    return -(-batch // max(1, programs)) or 1


class _Tiling(NamedTuple):
    """A tile covers ``groups * rows`` output rows, of which a thread computes ``rows``, by columns by channels."""

    kernel_size: int
    tiles: int
    groups: int
    columns: int
    channels: int
    rows: int
    unit: int
    lanes: int
    warps: int
    registers: int | None


@cache
def _tiling(shape: tuple[int, ...], stride: int, itemsize: int, summing: bool = False) -> _Tiling:
    """Choose the tiling for weights of this shape that leaves the fewest lanes idle and loads the fewest elements."""
    kernel_size, (height, width, channels) = round(shape[0] ** 0.5), shape[1:]
    # As many weights as fit into registers: a warp then loads 8 or 4 bytes per thread.
    small = kernel_size <= 3
    rows, values = min(height, 2 if kernel_size <= 5 else 1), max(1, (8 if small else 4) // itemsize)
    # Sixteen warps per multiprocessor without spilling; sums would spill, so there are twelve.
    warps, registers = (8, 128) if small and not summing else (4, None)
    lanes = values * 32 * warps

    # 64 contiguous bytes are the smallest piece that is loaded from memory.
    piece, widest = 64 // itemsize, min(channels, lanes)
    tiles = [
        (min(-(-height // rows), lanes // (wide * columns)), columns, wide)
        for wide in [*range(piece, widest, piece), widest]
        for columns in range(1, min(width, lanes // wide) + 1)
    ]

    def count(tile: tuple[int, int, int]) -> int:
        groups, columns, wide = tile
        return -(-height // (groups * rows)) * -(-width // columns) * -(-channels // wide)

    def computed_and_loaded(tile: tuple[int, int, int]) -> int:
        groups, columns, wide = tile
        window = ((groups * rows - 1) * stride + kernel_size) * ((columns - 1) * stride + kernel_size)
        return count(tile) * (lanes * rows + window * wide)

    best = min(tiles, key=computed_and_loaded)
    return _Tiling(kernel_size, count(best), *best, rows, gcd(channels, values), lanes, warps, registers)


def _launch(
    kernel: Any, tensors: tuple[Tensor, ...], images: int, x: Tensor, out: Tensor, stride: int, tiling: _Tiling
) -> None:
    if len(x) == 0:
        return
    with torch.cuda.device_of(x):
        kernel[tiling.tiles, -(-len(x) // images)](
            *tensors,
            *(len(x), images, *x.shape[2:], *out.shape[2:], out.shape[1] // tiling.unit),
            *(tiling.groups, tiling.columns, tiling.channels // tiling.unit),
            K=tiling.kernel_size,
            STRIDE=stride,
            UNIT=tiling.unit,
            ROWS=tiling.rows,
            LANES=tiling.lanes,
            num_warps=tiling.warps,
            num_stages=1,
            maxnreg=tiling.registers,
            enable_fp_fusion=True,
        )
