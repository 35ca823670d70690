"""Apply convolution weights that change with the image and the position.

    out[b, c, p] = sum over taps d of weight[b, d, g(c), p] * x_padded[b, c, stride * p + d]

If there are also weights per image and channel, ``weight[b, d, g(c), p] * channel_weight[b, c, d]`` or the sum of both
replaces the weight. This is one PyTorch operator, ``facerec::pixel_dependent_conv``. It reads the input in place and
saves only the input and the weights for the backward pass. It has two implementations:

    `facerec.kernels.cpu`                        float32 and bfloat16 on the CPU, channel weights only with one group
    `facerec.kernels.pixel_dependent_reference`  everything else, and the reference in the tests

B images, C channels in G groups of C / G neighbours, g(c) the group of a channel, (H, W) output map, (H_in, W_in) input
map, k kernel side, T = k * k taps, row by row.
"""

from types import ModuleType

import torch
from torch import Tensor

from facerec.kernels import pixel_dependent_reference as pixel_dependent_shifted
from facerec.kernels import plain
from facerec.kernels.cpu import pixel_dependent_cpu as pixel_dependent_cpu
from facerec.kernels.dispatch import check_taps_and_devices, in_channels_last, is_exporting, needs_dispatch


def pixel_dependent_conv(
    x: Tensor, weight: Tensor, stride: int = 1, channel_weight: Tensor | None = None, combine: str = "mul"
) -> Tensor:
    """Convolve each channel of ``x`` with the weights of its image, group and output position, zero padding ``k // 2``.

    Args:
        x: ``(B, C, H_in, W_in)``, any memory format.
        weight: ``(B, T, G, H, W)`` with ``T = k * k``, k odd, ``H = ceil(H_in / stride)``, ``W = ceil(W_in / stride)``.
        stride: distance between output positions, in input pixels.
        channel_weight: ``(B, C, T)``, or None for ``weight`` alone.
        combine: "mul" or "add": how ``weight`` and ``channel_weight`` are combined.

    Returns:
        ``(B, C, H, W)`` in channels_last memory, of the type of ``x``.

    Raises:
        ValueError: the sizes do not match.
    """
    if is_exporting():
        return plain.pixel_dependent(x, weight, stride, channel_weight, combine)
    check_taps_and_devices(weight.shape[1], x, weight, channel_weight)
    _check_sizes(x, weight, stride, channel_weight)
    if combine not in ("mul", "add"):
        raise ValueError(f"combine must be 'mul' or 'add', got {combine!r}")
    weight = weight.to(x.dtype)
    if channel_weight is not None:
        channel_weight = channel_weight.to(torch.promote_types(x.dtype, torch.float32))
    return (_convolve if needs_dispatch(x, weight, channel_weight) else _forward)(
        x, weight, stride, channel_weight, combine
    )


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


def _forward(x: Tensor, weight: Tensor, stride: int, channel_weight: Tensor | None, combine: str) -> Tensor:
    module = _implementation(x, weight, channel_weight)
    return module.forward(in_channels_last(x), weight, stride, channel_weight, combine)


_convolve = torch.library.custom_op("facerec::pixel_dependent_conv", _forward, mutates_args=())


@torch.library.custom_op("facerec::pixel_dependent_conv_backward", mutates_args=())
def _gradients(
    grad_out: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: int,
    channel_weight: Tensor | None,
    combine: str,
    of_input: bool,
    of_weights: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients of input, weight and channel weight; one that is not needed is an empty tensor."""
    module, weights = _implementation(x, weight, channel_weight), (weight, stride, channel_weight, combine)
    grad_out, x = in_channels_last(grad_out), in_channels_last(x)
    grad_x = module.input_gradient(grad_out, *weights, x.shape[2:]) if of_input else x.new_empty(0)
    grad_weight, grad_channel = module.weight_gradients(x, grad_out, *weights) if of_weights else (x.new_empty(0), None)
    return grad_x, grad_weight, x.new_empty(0) if grad_channel is None else grad_channel


@_convolve.register_fake
def _(x: Tensor, weight: Tensor, stride: int, channel_weight: Tensor | None, combine: str) -> Tensor:
    return x.new_empty(x.shape[0], *weight.shape[3:], x.shape[1]).permute(0, 3, 1, 2)


@_gradients.register_fake
def _(
    grad_out: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: int,
    channel_weight: Tensor | None,
    combine: str,
    of_input: bool,
    of_weights: bool,
):
    grad_x = torch.empty_like(x, memory_format=torch.channels_last) if of_input else x.new_empty(0)
    if not of_weights:
        return grad_x, x.new_empty(0), x.new_empty(0)
    batch, taps, groups, *size = weight.shape
    grad_weight = weight.new_empty(batch, *size, taps, groups).permute(0, 3, 4, 1, 2)
    grad_channel = x.new_empty(0) if channel_weight is None else channel_weight.new_empty(channel_weight.shape)
    return grad_x, grad_weight, grad_channel


def _save_for_backward(ctx, inputs: tuple[Tensor, Tensor, int, Tensor | None, str], output: Tensor) -> None:
    x, weight, ctx.stride, channel_weight, ctx.combine = inputs
    ctx.save_for_backward(x, weight, channel_weight)


def _backward(ctx, grad_out: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, channel_weight = ctx.saved_tensors
    of_input, of_weight, _, of_channels, _ = ctx.needs_input_grad
    arguments = (x, weight, ctx.stride, channel_weight, ctx.combine)
    grad_x, grad_weight, grad_channel = _gradients(grad_out, *arguments, of_input, of_weight or of_channels)
    return (
        grad_x if of_input else None,
        grad_weight if of_weight else None,
        None,
        grad_channel if of_channels else None,
        None,
    )


_convolve.register_autograd(_backward, setup_context=_save_for_backward)


def _implementation(x: Tensor, weight: Tensor, channel_weight: Tensor | None) -> ModuleType:
    """Return the module whose ``forward``, ``input_gradient`` and ``weight_gradients`` support these tensors.

    All three take maps in channels_last memory.
    """
    served = channel_weight is None or weight.shape[2] == 1
    if x.device.type == "cpu" and x.dtype in pixel_dependent_cpu.DTYPES and served:
        return pixel_dependent_cpu
    return pixel_dependent_shifted
