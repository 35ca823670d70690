"""The position-dependent convolution of `facerec.kernels.position_dependent` on the CPU, in float32 and bfloat16.

Weights ``(T, H, W, C)`` are float32, or bfloat16 as the maps, and all sums float32; maps are in channels_last memory. A
loop over vectors computes the output with the tables of the output, and the gradient of the input with the tables of
the input.
"""

import torch
from torch import Tensor

from facerec.kernels.cpu.inner_loops import sum_over_images, sum_over_taps
from facerec.kernels.cpu.jit import DTYPES, program
from facerec.kernels.cpu.tap_tables import Segments, Window, of_input, of_output


def forward(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve ``(B, C, H_in, W_in)`` with ``(T, H, W, C)``; returns ``(B, C, H, W)``."""
    window = _window(x.shape, round(len(weight) ** 0.5), stride)
    out = x.new_empty(len(x), *window.out_size, x.shape[1]).permute(0, 3, 1, 2)
    _sum_over_taps(of_output(window), out, weight, x)
    return out


def input_gradient(grad_out: Tensor, weight: Tensor, stride: int, in_size: tuple[int, int]) -> Tensor:
    """Return the gradient ``(B, C, *in_size)`` of the input, given ``(B, C, H, W)`` and ``(T, H, W, C)``."""
    window = Window(round(len(weight) ** 0.5), stride, in_size, grad_out.shape[1])
    grad_x = grad_out.new_empty(len(grad_out), *in_size, grad_out.shape[1]).permute(0, 3, 1, 2)
    _sum_over_taps(of_input(window), grad_x, weight, grad_out)
    return grad_x


def weight_gradient(x: Tensor, grad_out: Tensor, kernel_size: int, stride: int) -> Tensor:
    """Return the gradient ``(T, H, W, C)`` of the weights, float32, given ``(B, C, H_in, W_in)`` and ``(B, C, H, W)``.

    It is summed over the images in their order, whatever the number of threads.
    """
    window = _window(x.shape, kernel_size, stride)
    grad_weight = x.new_zeros(kernel_size**2, *window.out_size, x.shape[1], dtype=torch.float32)
    tables = of_output(window)
    items = tables.items(len(x), torch.get_num_threads(), split_images=False)
    program(sum_over_images, DTYPES[x.dtype]).run(tables, items, grad_out, grad_weight, x)
    return grad_weight


def _sum_over_taps(tables: Segments, maps: Tensor, weight: Tensor, windows: Tensor) -> None:
    items = tables.items(len(maps), torch.get_num_threads())
    program(sum_over_taps, DTYPES[maps.dtype], DTYPES[weight.dtype]).run(tables, items, maps, weight, windows)


def _window(shape: torch.Size, kernel_size: int, stride: int) -> Window:
    return Window(kernel_size, stride, (shape[2], shape[3]), shape[1])
