"""Apply convolutions whose weights differ from image to image: B weights for B images, in one call.

A depthwise convolution with separate filters per image is one depthwise convolution of B * C channels. The images are
concatenated along the channels in channels_last memory, so that the copy moves C contiguous elements at a time and the
convolution gets the layout in which it is fastest; in NCHW memory, every element of a channels_last map would be moved
separately. A 1x1 convolution is one matrix product per image. For a single image both are ordinary convolutions.

B images, C channels, (H, W) output map, (H_in, W_in) input map, k kernel side, E filters to mix.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from facerec.kernels import plain
from facerec.kernels.dispatch import images_at_a_time, is_exporting

# As many images are concatenated as a core's own cache holds; larger maps are convolved one after the other.
_CHUNK_BYTES = 768 << 10


def mix(gates: Tensor, filters: Tensor) -> Tensor:
    """Sum the filters with weights per image, in the type of the filters also under autocast.

    Args:
        gates: ``(B, E)``, or ``(B, C, E)`` if each channel has its own filters.
        filters: ``(E, N)``, filters of N elements each, or ``(C, E, N)``.

    Returns:
        ``(B, N)``, or ``(B, C, N)``.
    """
    with torch.autocast(gates.device.type, enabled=False):
        gates = gates.to(filters.dtype)
        return gates @ filters if gates.ndim == 2 else (gates[..., None] * filters).sum(2)


def depthwise_per_image(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    """Convolve each channel of each image with its own filter, zero padding ``k // 2``.

    Args:
        x: ``(B, C, H_in, W_in)``, any memory format.
        weight: ``(B, C, 1, k, k)``, k odd.
        stride: distance between output positions, in input pixels.

    Returns:
        ``(B, C, H, W)`` with ``H = ceil(H_in / stride)``, ``W = ceil(W_in / stride)``; in channels_last memory, or, for
        one image, in the memory format of ``x``.
    """
    if is_exporting():
        return plain.depthwise_per_image(x, weight, stride)
    size = images_at_a_time(x, _CHUNK_BYTES)
    groups = [_side_by_side(*group, stride) for group in zip(x.split(size), weight.split(size), strict=True)]
    return groups[0] if len(groups) == 1 else torch.cat(groups)


def _side_by_side(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    (batch, channels, height, width), padding = x.shape, weight.shape[-1] // 2
    if batch == 1:
        return F.conv2d(x, weight[0], stride=stride, padding=padding, groups=channels)
    side_by_side = x.permute(2, 3, 0, 1).reshape(1, height, width, batch * channels).permute(0, 3, 1, 2)
    out = F.conv2d(side_by_side, weight.flatten(0, 1), stride=stride, padding=padding, groups=batch * channels)
    apart = out.permute(0, 2, 3, 1)[0].unflatten(2, (batch, channels)).permute(2, 3, 0, 1)
    return apart.contiguous(memory_format=torch.channels_last)


def pointwise_per_image(x: Tensor, weight: Tensor) -> Tensor:
    """Multiply the channels of each image by its own matrix, the same at every position.

    Args:
        x: ``(B, C_in, H, W)``, any memory format.
        weight: ``(B, C_out, C_in, 1, 1)``.

    Returns:
        ``(B, C_out, H, W)``; in channels_last memory, or, for one image, in the memory format of ``x``.
    """
    if is_exporting():
        return plain.pointwise_per_image(x, weight)
    if len(x) == 1:
        return F.conv2d(x, weight[0])
    positions = x.flatten(2).transpose(1, 2)
    out = torch.bmm(positions, weight.flatten(2).transpose(1, 2))
    return out.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)
