"""The position-dependent convolution of `facerec.kernels.position_dependent` as T shifted multiply-adds, in plain
PyTorch: what the kernels are compared with, and what runs where there is none for a device or a type of numbers.

T = k * k taps, row by row, zero padding k // 2; maps are worked on as ``(B, H, W, C)``.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from facerec.kernels.dispatch import images_at_a_time

# Images are taken in groups whose maps stay in a core's own cache through all taps: the taps read and write the same
# memory T times.
_GROUP_BYTES = 1 << 21


def forward(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """``(B, C, H_in, W_in)`` and ``(T, H, W, C)`` to ``(B, C, H, W)`` in channels_last memory."""
    weight = weight.to(x.dtype)
    out = x.new_empty(x.shape[0], *weight.shape[1:])
    for images, group in _groups(x):
        for tap, shifted in enumerate(_taps(_pad(images, weight), weight, stride)):
            if tap == 0:
                torch.mul(shifted, weight[tap], out=out[group])
            else:
                out[group].addcmul_(shifted, weight[tap])
    return out.permute(0, 3, 1, 2)


def input_gradient(grad_out: Tensor, weight: Tensor, stride: int, in_size: tuple[int, int]) -> Tensor:
    """``(B, C, H, W)`` and ``(T, H, W, C)`` to ``(B, C, *in_size)`` in channels_last memory."""
    weight, pad = weight.to(grad_out.dtype), _padding(weight)
    grad_x = grad_out.new_empty(len(grad_out), *in_size, grad_out.shape[1])
    for images, group in _groups(grad_out):
        padded = images.new_zeros(len(images), in_size[0] + 2 * pad, in_size[1] + 2 * pad, images.shape[1])
        for tap, shifted in enumerate(_taps(padded, weight, stride)):
            shifted.addcmul_(images.permute(0, 2, 3, 1), weight[tap])
        grad_x[group] = padded[:, pad : pad + in_size[0], pad : pad + in_size[1]]
    return grad_x.permute(0, 3, 1, 2)


def weight_gradient(x: Tensor, grad_out: Tensor, kernel_size: int, stride: int) -> Tensor:
    """``(B, C, H_in, W_in)`` and ``(B, C, H, W)`` to ``(T, H, W, C)``, at least float32."""
    size = (kernel_size**2, *grad_out.shape[2:], x.shape[1])
    grad_weight = x.new_zeros(size, dtype=torch.promote_types(x.dtype, torch.float32))
    for images, group in _groups(x):
        gradient = grad_out[group].permute(0, 2, 3, 1)
        for tap, shifted in enumerate(_taps(_pad(images, grad_weight), grad_weight, stride)):
            grad_weight[tap] += (shifted * gradient).sum(dim=0)
    return grad_weight


def _groups(x: Tensor) -> Iterator[tuple[Tensor, slice]]:
    size = images_at_a_time(x, _GROUP_BYTES)
    for start in range(0, len(x), size):
        group = slice(start, start + size)
        yield x[group], group


def _pad(x: Tensor, weight: Tensor) -> Tensor:
    """``(B, C, H_in, W_in)`` to zero-padded ``(B, H_in + 2 P, W_in + 2 P, C)``."""
    pad = _padding(weight)
    return F.pad(x.permute(0, 2, 3, 1), (0, 0, pad, pad, pad, pad))


def _padding(weight: Tensor) -> int:
    return round(weight.shape[0] ** 0.5) // 2


def _taps(padded: Tensor, weight: Tensor, stride: int) -> Iterator[Tensor]:
    """The T views ``(B, H, W, C)`` of the padded input that the taps multiply."""
    taps, height, width, _ = weight.shape
    side = round(taps**0.5)
    for row in range(side):
        for column in range(side):
            yield padded[
                :, row : row + stride * (height - 1) + 1 : stride, column : column + stride * (width - 1) + 1 : stride
            ]
