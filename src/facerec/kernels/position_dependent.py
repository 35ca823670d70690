"""Apply convolution weights that change with position but not with the image.

    out[b, c, p] = sum over taps d of weight[d, p, c] * x_padded[b, c, stride * p + d]

over channels_last memory. Unfolding the input first would write a copy k * k times its size; here the input is read in
place, and only the input and the weights are saved for the backward pass. This is one PyTorch operator,
``facerec::position_dependent_conv``, for `torch.compile`, `torch.export` and autocast, with an implementation per
device:

    `facerec.kernels.cpu`                           float32 and bfloat16 on the CPU
    `facerec.kernels.gpu`                           NVIDIA GPUs
    `facerec.kernels.position_dependent_reference`  everything else, and the reference in the tests

B images, C channels, (H, W) output map, (H_in, W_in) input map, k kernel side, T = k * k taps, row by row.
"""

import importlib.util
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from facerec.kernels import plain
from facerec.kernels import position_dependent_reference as position_dependent_shifted
from facerec.kernels.cpu import position_dependent_cpu as position_dependent_cpu
from facerec.kernels.dispatch import check_taps_and_devices, in_channels_last, is_exporting, needs_dispatch


def position_dependent_conv(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    """Convolve each channel of ``x`` with its own weights at each output position, zero padding ``k // 2``.

    Args:
        x: ``(B, C, H_in, W_in)``, any memory format; best in channels_last.
        weight: ``(T, H, W, C)`` with ``T = k * k``, k odd, ``H = ceil(H_in / stride)``, ``W = ceil(W_in / stride)``.
        stride: distance between output positions, in input pixels.

    Returns:
        ``(B, C, H, W)`` in channels_last memory, of the type of ``x``; sums are float32, or float64 if ``x`` is.

    Raises:
        ValueError: the sizes do not match.
    """
    if is_exporting():
        return plain.position_dependent(x, weight, stride)
    _check_sizes(x, weight, stride)
    weight = _readable(x, weight)
    return (_convolve if needs_dispatch(x, weight) else _forward)(x, weight, stride)


def _check_sizes(x: Tensor, weight: Tensor, stride: int) -> None:
    check_taps_and_devices(len(weight), x, weight)
    expected = tuple(-(-side // stride) for side in x.shape[2:])
    if tuple(weight.shape[1:3]) != expected or weight.shape[3] != x.shape[1]:
        raise ValueError(
            f"an input of {x.shape[1]} channels at {x.shape[2]}x{x.shape[3]} with stride {stride} needs weights for "
            f"{x.shape[1]} channels at {expected[0]}x{expected[1]}, got {weight.shape[3]} at "
            f"{weight.shape[1]}x{weight.shape[2]}: build the network for this image size"
        )


def _forward(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    return _implementation(x).forward(in_channels_last(x), _readable(x, weight).contiguous(), stride)


_convolve = torch.library.custom_op("facerec::position_dependent_conv", _forward, mutates_args=())


@torch.library.custom_op("facerec::position_dependent_conv_backward", mutates_args=())
def _gradients(
    grad_out: Tensor, x: Tensor, weight: Tensor, stride: int, of_input: bool, of_weight: bool
) -> tuple[Tensor, Tensor]:
    """Compute the gradients of input and weight; one that is not needed is an empty tensor."""
    module, kernel_size = _implementation(x), round(len(weight) ** 0.5)
    grad_out, x, weight = in_channels_last(grad_out), in_channels_last(x), _readable(x, weight).contiguous()
    grad_x = module.input_gradient(grad_out, weight, stride, x.shape[2:]) if of_input else x.new_empty(0)
    grad_weight = module.weight_gradient(x, grad_out, kernel_size, stride) if of_weight else weight.new_empty(0)
    return grad_x, grad_weight.to(weight.dtype)


@_convolve.register_fake
def _(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    return x.new_empty(x.shape[0], *weight.shape[1:]).permute(0, 3, 1, 2)


@_gradients.register_fake
def _(grad_out: Tensor, x: Tensor, weight: Tensor, stride: int, of_input: bool, of_weight: bool):
    grad_x = torch.empty_like(x, memory_format=torch.channels_last) if of_input else x.new_empty(0)
    return grad_x, torch.empty_like(weight) if of_weight else weight.new_empty(0)


def _save_for_backward(ctx, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
    x, weight, ctx.stride = inputs
    ctx.save_for_backward(x, weight)


def _backward(ctx, grad_out: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
    of_input, of_weight, _ = ctx.needs_input_grad
    grad_x, grad_weight = _gradients(grad_out, *ctx.saved_tensors, ctx.stride, of_input, of_weight)
    return grad_x if of_input else None, grad_weight if of_weight else None, None


_convolve.register_autograd(_backward, setup_context=_save_for_backward)


def _readable(x: Tensor, weight: Tensor) -> Tensor:
    """Return the weights in the type of the sums, in which they are read, or as they are: the CPU's code reads bfloat16
    beside maps of it."""
    if x.device.type == "cpu" and x.dtype == weight.dtype == torch.bfloat16:
        return weight
    return weight.to(torch.promote_types(x.dtype, torch.float32))


def _implementation(x: Tensor) -> ModuleType:
    """Return the module whose ``forward``, ``input_gradient`` and ``weight_gradient`` support this device and type.

    All three take maps in channels_last memory.
    """
    if x.device.type == "cpu" and x.dtype in position_dependent_cpu.DTYPES:
        return position_dependent_cpu
    if x.is_cuda and torch.version.hip is None and x.dtype != torch.float64 and _has_triton():
        from facerec.kernels.gpu import position_dependent_gpu as position_dependent_gpu  # Triton is not everywhere

        return position_dependent_gpu
    return position_dependent_shifted


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None
