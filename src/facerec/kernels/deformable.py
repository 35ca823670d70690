"""Depthwise convolution whose taps are moved and weighed by the image.

    out[b, c, p] = sum over taps d of weight[c, d] * m[b, d, p] * x[b, c, stride * p + d + o[b, d, p]]

with x read between pixels by bilinear interpolation and 0 outside, T = k * k taps, row by row.
"""

from torch import Tensor
from torchvision.ops import deform_conv2d

from facerec.kernels import plain
from facerec.kernels.dispatch import is_exporting


def deformable_conv(x: Tensor, offsets: Tensor, modulation: Tensor, weight: Tensor, stride: int) -> Tensor:
    """By torchvision's kernel, which has no bfloat16 on the CPU and wants one type for all.

    Args:
        x: ``(B, C, H_in, W_in)``.
        offsets: ``(B, 2 * T, H, W)``, (down, right) in pixels for each tap.
        modulation: ``(B, T, H, W)``.
        weight: ``(C, 1, k, k)``; the zero padding is ``k // 2``.
        stride: of the output positions over the input.

    Returns:
        ``(B, C, H, W)``.
    """
    if is_exporting():
        return plain.deformable(x, offsets, modulation, weight, stride)
    padding = weight.shape[-1] // 2
    strides, paddings = (stride, stride), (padding, padding)
    return deform_conv2d(x, offsets, weight, stride=strides, padding=paddings, mask=modulation)
