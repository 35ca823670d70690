"""The convolution of `facerec.kernels.pixel_dependent` as T shifted multiply-adds, in plain PyTorch and the layout of
`facerec.kernels.taps`: what the kernel is compared with, and what runs where there is none for a device or a type of
numbers.

Neither the unfolded input nor the weights combined with those of the channels, each T times the size of a map, ever
exist as a whole.

B images, C channels in G groups, (H, W) output map, k kernel side, T = k * k taps, row by row, R numbers of a run of
`TapLayout`.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from facerec.kernels.taps import TapLayout, image_groups


def forward(x: Tensor, weight: Tensor, stride: int, channel_weight: Tensor | None, combine: str) -> Tensor:
    """``(B, C, H_in, W_in)``, ``(B, T, G, H, W)`` and ``(B, C, T)`` to ``(B, C, H, W)`` in channels_last memory."""
    layout = _layout(x.shape[2:], weight, stride)
    out = x.new_empty(len(x), *layout.out_size, x.shape[1]).permute(0, 3, 1, 2)
    for group in image_groups(x):
        out[group] = _convolve(layout, combine, x[group], *_cut(group, weight, channel_weight))
    return out


def input_gradient(
    grad_out: Tensor,
    weight: Tensor,
    stride: int,
    channel_weight: Tensor | None,
    combine: str,
    in_size: tuple[int, int],
) -> Tensor:
    """``(B, C, H, W)`` and the weights to ``(B, C, *in_size)`` in channels_last memory."""
    layout = _layout(in_size, weight, stride)
    grad_x = grad_out.new_zeros(len(grad_out), *in_size, grad_out.shape[1]).permute(0, 3, 1, 2)
    for group in image_groups(grad_x):
        weights = _cut(group, weight, channel_weight)
        layout.write_image(_grad_planes(layout, combine, grad_x[group], *weights, grad_out[group]), grad_x[group])
    return grad_x


def weight_gradients(
    x: Tensor, grad_out: Tensor, weight: Tensor, stride: int, channel_weight: Tensor | None, combine: str
) -> tuple[Tensor, Tensor | None]:
    """Those of ``weight``, in memory as ``(B, H, W, T, G)``, and of ``channel_weight``."""
    layout = _layout(x.shape[2:], weight, stride)
    grad_weight = torch.empty_like(weight.permute(0, 3, 4, 1, 2), memory_format=torch.contiguous_format)
    grad_weight = grad_weight.permute(0, 3, 4, 1, 2)
    grad_channel = None if channel_weight is None else channel_weight.new_empty(channel_weight.shape)
    for group in image_groups(x):
        weights = _cut(group, weight, channel_weight)
        grad_weight[group], of_channels = _weight_gradients(layout, combine, x[group], *weights, grad_out[group])
        if grad_channel is not None:
            grad_channel[group] = of_channels
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
    shares, planes = (weight.shape[2], -1), layout.zero_planes(x)
    runs = layout.runs(grad_out).unflatten(1, shares)
    taps, buffer = layout.taps(planes.unflatten(2, shares)), torch.empty_like(runs)
    for shifted, factors in zip(taps, _weights_of_taps(layout, weight, channel_weight), strict=True):
        shifted.addcmul_(runs, _combined(*factors, combine, buffer))
    return planes


def _weight_gradients(
    layout: TapLayout, combine: str, x: Tensor, weight: Tensor, channel_weight: Tensor | None, grad_out: Tensor
) -> tuple[Tensor, Tensor]:
    shares = (weight.shape[2], -1)
    runs, taps = layout.runs(grad_out).unflatten(1, shares), layout.taps(layout.planes(x).unflatten(2, shares))
    grad_weight = x.new_empty(*weight.shape[:3], layout.run_length)
    grad_channel = x.new_empty(*runs.shape[:3], weight.shape[1])
    weights, buffer = _weights_of_taps(layout, weight, channel_weight), torch.empty_like(runs)
    for tap, (shifted, factors) in enumerate(zip(taps, weights, strict=True)):
        product = torch.mul(shifted, runs, out=buffer)
        grad_weight[:, tap], grad_channel[..., tap] = _factor_gradients(product, *factors, combine)
    return layout.maps(grad_weight), grad_channel.flatten(1, 2)


def _combined(of_position: Tensor, of_channel: Tensor | None, combine: str, buffer: Tensor) -> Tensor:
    """What a tap multiplies by, as large as ``buffer``, which is overwritten, or as the weight alone."""
    if of_channel is None:
        return of_position
    return (torch.mul if combine == "mul" else torch.add)(of_position, of_channel, out=buffer)


def _factor_gradients(
    product: Tensor, of_position: Tensor, of_channel: Tensor | None, combine: str
) -> tuple[Tensor, Tensor | float]:
    """``(B, G, R)`` and ``(B, G, C / G)`` for one tap, from the input times the gradient, ``(B, G, C / G, R)``."""
    if of_channel is None:
        return product.sum(2), 0.0
    if combine == "add":
        return product.sum(2), product.sum(3)
    return (of_channel.mT @ product).squeeze(2), (product @ of_position.mT).squeeze(3)


def _weights_of_taps(
    layout: TapLayout, weight: Tensor, channel_weight: Tensor | None
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """For each tap ``(B, G, 1, R)`` and ``(B, G, C / G, 1)``."""
    runs = layout.runs(weight).unsqueeze(3)
    for tap in range(weight.shape[1]):
        of_channel = None
        if channel_weight is not None:
            of_channel = channel_weight[:, :, tap, None].unflatten(1, (weight.shape[2], -1))
        yield runs[:, tap], of_channel


def _layout(in_size: tuple[int, ...], weight: Tensor, stride: int) -> TapLayout:
    (height_in, width_in), (height, width) = in_size, weight.shape[3:]
    return TapLayout(round(weight.shape[1] ** 0.5), stride, (height_in, width_in), (height, width))


def _cut(group: slice, weight: Tensor, channel_weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The weights of a group of images, in one type."""
    return weight[group], None if channel_weight is None else channel_weight[group].to(weight.dtype)
