"""The convolution of `facerec.kernels.pixel_dependent` on the CPU, in float32 and bfloat16.

Maps are in channels_last memory, and the weights ``(T, G)`` of a position are contiguous; sums and channel weights are
float32. A loop over channels computes the output with the tables of the output, and the gradient of the input with the
tables of the input.
"""

import torch
from torch import Tensor

from facerec.kernels.cpu.jit import DTYPES, Program, program
from facerec.kernels.cpu.pixel_inner_loops import (
    channels_over_channels,
    channels_over_taps,
    groups_over_channels,
    groups_over_taps,
)
from facerec.kernels.cpu.tap_tables import Segments, Window, of_input, of_output


def forward(x: Tensor, weight: Tensor, stride: int, channel_weight: Tensor | None, combine: str) -> Tensor:
    """Convolve ``(B, C, H_in, W_in)`` with ``(B, T, G, H, W)`` and, if there is one group, ``(B, C, T)``; returns
    ``(B, C, H, W)``."""
    window = _window(x.shape, weight, stride)
    out = x.new_empty(len(x), *window.out_size, x.shape[1]).permute(0, 3, 1, 2)
    _sum_over_taps(of_output(window), out, weight, x, channel_weight, combine)
    return out


def input_gradient(
    grad_out: Tensor,
    weight: Tensor,
    stride: int,
    channel_weight: Tensor | None,
    combine: str,
    in_size: tuple[int, int],
) -> Tensor:
    """Return the gradient ``(B, C, *in_size)`` of the input, given ``grad_out``, ``(B, C, H, W)``, and the weights."""
    grad_x = grad_out.new_empty(len(grad_out), *in_size, grad_out.shape[1]).permute(0, 3, 1, 2)
    _sum_over_taps(of_input(_window(grad_x.shape, weight, stride)), grad_x, weight, grad_out, channel_weight, combine)
    return grad_x


def weight_gradients(
    x: Tensor, grad_out: Tensor, weight: Tensor, stride: int, channel_weight: Tensor | None, combine: str
) -> tuple[Tensor, Tensor | None]:
    """Return the gradients of ``weight`` and ``channel_weight``.

    They do not depend on the number of threads, because each sum is computed by one thread.
    """
    window = _window(x.shape, weight, stride)
    tables, threads = of_output(window), torch.get_num_threads()
    split = tables.items if channel_weight is None else tables.whole_images
    weights, channel_weights = _contiguous_per_position(weight), _taps_first(channel_weight)
    weight_sums = torch.empty_like(weights)
    _clear_border(weight_sums, window)
    channel_sums = None if channel_weights is None else torch.zeros_like(channel_weights)
    arrays = (grad_out, weights, x, channel_weights, weight_sums, channel_sums)
    _program(x, weight, channel_weight, combine, gradient=True).run(tables, split(len(x), threads), *arrays)
    grad_channel = None if channel_sums is None else channel_sums.mT.contiguous()
    return weight_sums.permute(0, 3, 4, 1, 2), grad_channel


def _sum_over_taps(
    tables: Segments, maps: Tensor, weight: Tensor, windows: Tensor, channel_weight: Tensor | None, combine: str
) -> None:
    arrays = (maps, _contiguous_per_position(weight), windows, _taps_first(channel_weight))
    items = tables.items(len(maps), torch.get_num_threads())
    _program(maps, weight, channel_weight, combine, gradient=False).run(tables, items, *arrays)


def _program(maps: Tensor, weight: Tensor, channel_weight: Tensor | None, combine: str, gradient: bool) -> Program:
    storage, groups = DTYPES[maps.dtype], weight.shape[2]
    if groups == 1:
        build = channels_over_channels if gradient else channels_over_taps
        return program(build, storage, None if channel_weight is None else combine)
    return program(groups_over_channels if gradient else groups_over_taps, storage, maps.shape[1] // groups)


def _contiguous_per_position(weight: Tensor) -> Tensor:
    """Bring ``(B, T, G, H, W)`` to contiguous ``(B, H, W, T, G)``, without a copy if a channels_last convolution
    computed the weights."""
    return weight.permute(0, 3, 4, 1, 2).contiguous()


def _taps_first(channel_weight: Tensor | None) -> Tensor | None:
    """Bring ``(B, C, T)`` to contiguous ``(B, T, C)``."""
    return None if channel_weight is None else channel_weight.mT.contiguous()


def _clear_border(weight_sums: Tensor, window: Window) -> None:
    """Zero the gradients ``(B, H, W, T, G)`` of positions with taps outside the image: no loop writes those taps."""
    pad, stride = window.kernel_size // 2, window.stride
    for axis, (size_in, size) in enumerate(zip(window.in_size, window.out_size, strict=True), start=1):
        first, last = min(-(-pad // stride), size), max(0, (size_in - 1 - pad) // stride + 1)
        weight_sums.narrow(axis, 0, first).zero_()
        weight_sums.narrow(axis, last, size - last).zero_()


def _window(shape: tuple[int, ...], weight: Tensor, stride: int) -> Window:
    return Window(round(weight.shape[1] ** 0.5), stride, (shape[2], shape[3]), shape[1], weight.shape[2])
