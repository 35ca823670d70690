"""The convolution of `facerec.kernels.pixel_dependent` as T shifted multiply-adds, in plain PyTorch and the layout of
`facerec.kernels.taps`. It is the reference for the kernel's tests and the fallback for a device or data type without a
kernel.

Neither the unfolded input nor the weights combined with the channel weights, each T times the size of a map, are ever
stored as a whole.

B images, C channels in G groups, (H, W) output map, k kernel side, T = k * k taps, row by row, R elements of a run of
`TapLayout`.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from facerec.kernels.taps import TapLayout, image_chunks


def forward(x: Tensor, weight: Tensor, stride: int, channel_weight: Tensor | None, combine: str) -> Tensor:
    """Convolve ``(B, C, H_in, W_in)`` with ``(B, T, G, H, W)`` and ``(B, C, T)``; returns ``(B, C, H, W)`` in
    channels_last memory."""
    layout = _layout(x.shape[2:], weight, stride)
    out = x.new_empty(len(x), *layout.out_size, x.shape[1]).permute(0, 3, 1, 2)
    for chunk in image_chunks(x):
        out[chunk] = _convolve(layout, combine, x[chunk], *_of_chunk(chunk, weight, channel_weight))
    return out


def input_gradient(
    grad_out: Tensor,
    weight: Tensor,
    stride: int,
    channel_weight: Tensor | None,
    combine: str,
    in_size: tuple[int, int],
) -> Tensor:
    """Return the gradient ``(B, C, *in_size)`` of the input in channels_last memory, given ``grad_out``,
    ``(B, C, H, W)``, and the weights."""
    layout = _layout(in_size, weight, stride)
    grad_x = grad_out.new_zeros(len(grad_out), *in_size, grad_out.shape[1]).permute(0, 3, 1, 2)
    for chunk in image_chunks(grad_x):
        weights = _of_chunk(chunk, weight, channel_weight)
        layout.write_image(_grad_planes(layout, combine, grad_x[chunk], *weights, grad_out[chunk]), grad_x[chunk])
    return grad_x


def weight_gradients(
    x: Tensor, grad_out: Tensor, weight: Tensor, stride: int, channel_weight: Tensor | None, combine: str
) -> tuple[Tensor, Tensor | None]:
    """Return the gradients of ``weight``, in memory as ``(B, H, W, T, G)``, and of ``channel_weight``."""
    layout = _layout(x.shape[2:], weight, stride)
    grad_weight = torch.empty_like(weight.permute(0, 3, 4, 1, 2), memory_format=torch.contiguous_format)
    grad_weight = grad_weight.permute(0, 3, 4, 1, 2)
    grad_channel = None if channel_weight is None else channel_weight.new_empty(channel_weight.shape)
    for chunk in image_chunks(x):
        weights = _of_chunk(chunk, weight, channel_weight)
        grad_weight[chunk], of_channels = _weight_gradients(layout, combine, x[chunk], *weights, grad_out[chunk])
        if grad_channel is not None:
            grad_channel[chunk] = of_channels
    return grad_weight, grad_channel


def _convolve(layout: TapLayout, combine: str, x: Tensor, weight: Tensor, channel_weight: Tensor | None) -> Tensor:
    planes = layout.planes(x).unflatten(2, (weight.shape[2], -1))
    total, buffer = x.new_zeros(2, *planes.shape[1:4], layout.run_length)
    weights = _weights_of_taps(layout, weight, channel_weight)
    for shifted, factors in zip(layout.taps(planes), weights, strict=True):
        total.addcmul_(shifted, _combined(*factors, combine, buffer))
    return layout.maps(total.flatten(1, 2))


def _grad_planes(
    layout: TapLayout, combine: str, x: Tensor, weight: Tensor, channel_weight: Tensor | None, grad_out: Tensor
) -> Tensor:
    grouped, planes = (weight.shape[2], -1), layout.zero_planes(x)
    runs = layout.runs(grad_out).unflatten(1, grouped)
    taps, buffer = layout.taps(planes.unflatten(2, grouped)), torch.empty_like(runs)
    for shifted, factors in zip(taps, _weights_of_taps(layout, weight, channel_weight), strict=True):
        shifted.addcmul_(runs, _combined(*factors, combine, buffer))
    return planes


def _weight_gradients(
    layout: TapLayout, combine: str, x: Tensor, weight: Tensor, channel_weight: Tensor | None, grad_out: Tensor
) -> tuple[Tensor, Tensor]:
    grouped = (weight.shape[2], -1)
    runs, taps = layout.runs(grad_out).unflatten(1, grouped), layout.taps(layout.planes(x).unflatten(2, grouped))
    grad_weight = x.new_empty(*weight.shape[:3], layout.run_length)
    grad_channel = x.new_empty(*runs.shape[:3], weight.shape[1])
    weights, buffer = _weights_of_taps(layout, weight, channel_weight), torch.empty_like(runs)
    for tap, (shifted, factors) in enumerate(zip(taps, weights, strict=True)):
        product = torch.mul(shifted, runs, out=buffer)
        grad_weight[:, tap], grad_channel[..., tap] = _factor_gradients(product, *factors, combine)
    return layout.maps(grad_weight), grad_channel.flatten(1, 2)


def _combined(of_position: Tensor, of_channel: Tensor | None, combine: str, buffer: Tensor) -> Tensor:
    """Return the factors of a tap: the weight alone, or both weights combined, written into ``buffer``."""
    if of_channel is None:
        return of_position
    return (torch.mul if combine == "mul" else torch.add)(of_position, of_channel, out=buffer)


def _factor_gradients(
    product: Tensor, of_position: Tensor, of_channel: Tensor | None, combine: str
) -> tuple[Tensor, Tensor | float]:
    """Return the gradients ``(B, G, R)`` and ``(B, G, C / G)`` of one tap's weights, from the product of input and
    gradient, ``(B, G, C / G, R)``."""
    if of_channel is None:
        return product.sum(2), 0.0
    if combine == "add":
        return product.sum(2), product.sum(3)
    return (of_channel.mT @ product).squeeze(2), (product @ of_position.mT).squeeze(3)


def _weights_of_taps(
    layout: TapLayout, weight: Tensor, channel_weight: Tensor | None
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield for each tap its weights, ``(B, G, 1, R)``, and its channel weights, ``(B, G, C / G, 1)``."""
    runs = layout.runs(weight).unsqueeze(3)
    for tap in range(weight.shape[1]):
        of_channel = None
        if channel_weight is not None:
            of_channel = channel_weight[:, :, tap, None].unflatten(1, (weight.shape[2], -1))
        yield runs[:, tap], of_channel


def _layout(in_size: tuple[int, ...], weight: Tensor, stride: int) -> TapLayout:
    (height_in, width_in), (height, width) = in_size, weight.shape[3:]
    return TapLayout(round(weight.shape[1] ** 0.5), stride, (height_in, width_in), (height, width))


def _of_chunk(chunk: slice, weight: Tensor, channel_weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return the weights of a chunk of images, in one type."""
    return weight[chunk], None if channel_weight is None else channel_weight[chunk].to(weight.dtype)
