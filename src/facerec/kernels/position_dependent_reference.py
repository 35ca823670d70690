"""The position-dependent convolution of `facerec.kernels.position_dependent` as T shifted multiply-adds, in plain
PyTorch. It is the reference for the kernels' tests and the fallback for a device or data type without a kernel.

T = k * k taps, row by row, zero padding k // 2; maps are processed as ``(B, H, W, C)``.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from facerec.kernels.dispatch import images_at_a_time

# Images are processed in chunks whose maps stay in a core's own cache through all taps: the taps read and write the
# same memory T times.
_CHUNK_BYTES = 1 << 21


def forward(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve ``(B, C, H_in, W_in)`` with ``(T, H, W, C)``; returns ``(B, C, H, W)`` in channels_last memory."""
    weight = weight.to(x.dtype)
    out = x.new_empty(x.shape[0], *weight.shape[1:])
    for images, chunk in _chunks(x):
        for tap, shifted in enumerate(shifts(images, _side(weight), stride)):
            if tap == 0:
                torch.mul(shifted, weight[tap], out=out[chunk])
            else:
                out[chunk].addcmul_(shifted, weight[tap])
    return out.permute(0, 3, 1, 2)


def input_gradient(grad_out: Tensor, weight: Tensor, stride: int, in_size: tuple[int, int]) -> Tensor:
    """Return the gradient ``(B, C, *in_size)`` of the input in channels_last memory, given ``(B, C, H, W)`` and
    ``(T, H, W, C)``."""
    weight, side, pad = weight.to(grad_out.dtype), _side(weight), _side(weight) // 2
    grad_x = grad_out.new_empty(len(grad_out), *in_size, grad_out.shape[1])
    for images, chunk in _chunks(grad_out):
        padded = images.new_zeros(len(images), in_size[0] + 2 * pad, in_size[1] + 2 * pad, images.shape[1])
        for tap, shifted in enumerate(_taps(padded, side, weight.shape[1:3], stride)):
            shifted.addcmul_(images.permute(0, 2, 3, 1), weight[tap])
        grad_x[chunk] = padded[:, pad : pad + in_size[0], pad : pad + in_size[1]]
    return grad_x.permute(0, 3, 1, 2)


def weight_gradient(x: Tensor, grad_out: Tensor, kernel_size: int, stride: int) -> Tensor:
    """Return the gradient ``(T, H, W, C)`` of the weights, at least float32, given ``(B, C, H_in, W_in)`` and
    ``(B, C, H, W)``."""
    size = (kernel_size**2, *grad_out.shape[2:], x.shape[1])
    grad_weight = x.new_zeros(size, dtype=torch.promote_types(x.dtype, torch.float32))
    for images, chunk in _chunks(x):
        gradient = grad_out[chunk].permute(0, 2, 3, 1)
        for tap, shifted in enumerate(shifts(images, kernel_size, stride)):
            grad_weight[tap] += (shifted * gradient).sum(dim=0)
    return grad_weight


def _chunks(x: Tensor) -> Iterator[tuple[Tensor, slice]]:
    size = images_at_a_time(x, _CHUNK_BYTES)
    for start in range(0, len(x), size):
        chunk = slice(start, start + size)
        yield x[chunk], chunk


def shifts(x: Tensor, kernel_size: int, stride: int) -> Iterator[Tensor]:
    """Yield the T shifted inputs ``(B, H, W, C)`` of ``(B, C, H_in, W_in)`` that the taps multiply."""
    pad = kernel_size // 2
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, pad, pad, pad, pad))
    return _taps(padded, kernel_size, [-(-side // stride) for side in x.shape[2:]], stride)


def _taps(padded: Tensor, kernel_size: int, out_size: Sequence[int], stride: int) -> Iterator[Tensor]:
    rows, columns = (stride * (side - 1) + 1 for side in out_size)
    for row in range(kernel_size):
        for column in range(kernel_size):
            yield padded[:, row : row + rows : stride, column : column + columns : stride]


def _side(weight: Tensor) -> int:
    return round(len(weight) ** 0.5)
