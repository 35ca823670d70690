"""Apply convolution weights that change with the image and the position.

    out[b, c, p] = sum over taps d of weight[b, d, g(c), p] * x_padded[b, c, stride * p + d]

or, with weights that change with the image and the channel as well, ``weight[b, d, g(c), p] * channel_weight[b, c, d]``
or their sum in place of the weight; as k * k shifted multiply-adds in the layout of `facerec.kernels.taps`. Neither the
unfolded input nor the combined weights, each k * k times the size of a map, ever exist as a whole; the backward keeps
the input and the weights as they came.

B images, C channels in G groups of C / G neighbours, g(c) the group of a channel, (H, W) output map, (H_in, W_in) input
map, k kernel side, T = k * k taps, row by row, R numbers of a run of `TapLayout`.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from facerec.kernels.taps import TapLayout, image_groups


def pixel_dependent_conv(
    x: Tensor, weight: Tensor, stride: int = 1, channel_weight: Tensor | None = None, combine: str = "mul"
) -> Tensor:
    """Convolve each channel of ``x`` with weights for its image, group and output position, zero padding ``k // 2``.

    Args:
        x: ``(B, C, H_in, W_in)``, any memory format.
        weight: ``(B, T, G, H, W)`` with ``T = k * k``, k odd, ``H = ceil(H_in / stride)``, ``W = ceil(W_in / stride)``.
        stride: of the output positions over the input.
        channel_weight: ``(B, C, T)``, or None for ``weight`` alone.
        combine: "mul" or "add", of ``weight`` and ``channel_weight``.

    Returns:
        ``(B, C, H, W)`` in channels_last memory, of the type of ``x``.

    Raises:
        ValueError: the sizes do not fit together.
    """
    _check_sizes(x, weight, stride, channel_weight)
    channel_weight = None if channel_weight is None else channel_weight.to(x.dtype)
    return _PixelDependentConv.apply(x, weight.to(x.dtype), channel_weight, stride, combine)  # pyright: ignore[reportReturnType]


def _check_sizes(x: Tensor, weight: Tensor, stride: int, channel_weight: Tensor | None) -> None:
    images, channels, height, width = x.shape
    given_images, taps, groups, *out_size = weight.shape
    expected = [-(-height // stride), -(-width // stride)]
    if given_images != images or channels % groups or out_size != expected:
        raise ValueError(
            f"{images} images of {channels} channels at {height}x{width} with stride {stride} need weights for "
            f"{images} images at {expected[0]}x{expected[1]} in groups that divide the channels, got {given_images} "
            f"images at {out_size[0]}x{out_size[1]} in {groups} groups"
        )
    if channel_weight is not None and channel_weight.shape != (images, channels, taps):
        needed = f"{images} images, {channels} channels and {taps} taps"
        raise ValueError(f"channel_weight must be for {needed}, got the shape {tuple(channel_weight.shape)}")


class _PixelDependentConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, weight: Tensor, channel_weight: Tensor | None, stride: int, combine: str
    ) -> Tensor:
        ctx.save_for_backward(x, weight, channel_weight)  # pyright: ignore[reportArgumentType]
        ctx.stride, ctx.combine = stride, combine  # pyright: ignore[reportAttributeAccessIssue]
        layout = _layout(x, weight, stride)
        out = x.new_empty(len(x), *layout.out_size, x.shape[1]).permute(0, 3, 1, 2)
        for group in image_groups(x):
            out[group] = _convolve(layout, combine, *_cut(group, x, weight, channel_weight))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_out: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None, None]:
        x, weight, channel_weight = ctx.saved_tensors
        layout = _layout(x, weight, ctx.stride)
        grad_x = torch.zeros_like(x, memory_format=torch.channels_last)
        grad_weight = torch.empty_like(weight)
        grad_channel = None if channel_weight is None else torch.empty_like(channel_weight)
        for group in image_groups(x):
            tensors = _cut(group, x, weight, channel_weight)
            planes, grad_weight[group], of_channels = _gradients(layout, ctx.combine, *tensors, grad_out[group])
            layout.write_image(planes, grad_x[group])
            if grad_channel is not None:
                grad_channel[group] = of_channels
        return grad_x, grad_weight, grad_channel, None, None


def _convolve(layout: TapLayout, combine: str, x: Tensor, weight: Tensor, channel_weight: Tensor | None) -> Tensor:
    planes = layout.planes(x).unflatten(2, (weight.shape[2], -1))
    total, buffer = x.new_zeros(2, *planes.shape[1:4], layout.run_length)
    weights = _weights_of_taps(layout, weight, channel_weight)
    for shifted, factors in zip(layout.taps(planes), weights, strict=True):
        total.addcmul_(shifted, _combined(*factors, combine, buffer))
    return layout.maps(total.flatten(1, 2))


def _gradients(
    layout: TapLayout, combine: str, x: Tensor, weight: Tensor, channel_weight: Tensor | None, grad_out: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Those of the planes, of ``weight`` and of ``channel_weight``."""
    shares = (weight.shape[2], -1)
    planes, grad_planes = layout.planes(x), layout.zero_planes(x)
    runs = layout.runs(grad_out).unflatten(1, shares)
    taps, grad_taps = (layout.taps(p.unflatten(2, shares)) for p in (planes, grad_planes))
    grad_weight = x.new_empty(*weight.shape[:3], layout.run_length)
    grad_channel = x.new_empty(*runs.shape[:3], weight.shape[1])
    weights, buffer = _weights_of_taps(layout, weight, channel_weight), torch.empty_like(runs)
    for tap, (shifted, grad_shifted, factors) in enumerate(zip(taps, grad_taps, weights, strict=True)):
        grad_shifted.addcmul_(runs, _combined(*factors, combine, buffer))
        product = torch.mul(shifted, runs, out=buffer)
        grad_weight[:, tap], grad_channel[..., tap] = _factor_gradients(product, *factors, combine)
    return grad_planes, layout.maps(grad_weight), grad_channel.flatten(1, 2)


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


def _layout(x: Tensor, weight: Tensor, stride: int) -> TapLayout:
    (height_in, width_in), (height, width) = x.shape[2:], weight.shape[3:]
    return TapLayout(round(weight.shape[1] ** 0.5), stride, (height_in, width_in), (height, width))


def _cut(
    group: slice, x: Tensor, weight: Tensor, channel_weight: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    return x[group], weight[group], None if channel_weight is None else channel_weight[group]
