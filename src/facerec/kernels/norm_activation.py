"""BatchNorm with the activation after it, and a map added to that, as one operator.

    out = activation((x - mean) * rstd * weight + bias) + shortcut;  rstd = 1 / sqrt(var + eps)

A network's layers apart from its convolutions take the time of their passes over the maps. Here they are eight: x for
the statistics; x and the output; x and the gradient for the gradient's sums; x, the gradient and the result. And x is
the only map that is kept: what the activation clips is computed again.

This is one PyTorch operator, ``facerec::norm_activation``, on the CPU for float32 and bfloat16 maps in channels_last
memory with float32 parameters. Everything else is `facerec.kernels.plain.norm_activation`.

B images, C channels, (H, W) map. Without an activation the name is "none".
"""

import torch
from torch import Tensor

from facerec.kernels import plain
from facerec.kernels.cpu import norm_activation_cpu
from facerec.kernels.cpu.jit import DTYPES
from facerec.kernels.dispatch import in_channels_last, is_exporting, needs_dispatch
from facerec.kernels.made_again import can_be_made_again

ACTIVATIONS = ("none", "relu", "relu6", "prelu", "hardswish", "silu")


def norm_activation(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    activation: str = "none",
    slope: Tensor | None = None,
    shortcut: Tensor | None = None,
) -> Tensor:
    """Normalise each channel of ``x``, apply the activation and add ``shortcut``.

    The mean and variance are those of the batch if ``training``, which then enter the running ones by ``momentum`` as
    in `torch.nn.functional.batch_norm`, or else the running ones.

    Args:
        x: ``(B, C, H, W)``.
        weight, bias, running_mean, running_var: ``(C,)``.
        activation: one of `ACTIVATIONS`.
        slope: ``(C,)`` for "prelu", for x below 0.
        shortcut: ``(B, C, H, W)``, of the type of ``x``.

    Returns:
        ``(B, C, H, W)``, of the type and in the memory format of ``x``.
    """
    vectors = (weight, bias, running_mean, running_var)
    if not _is_supported(x, vectors, slope, shortcut, training):
        normalised = plain.norm_activation(x, *vectors, training, momentum, eps, activation, slope)
        return normalised if shortcut is None else normalised + shortcut
    assert weight is not None and bias is not None and running_mean is not None and running_var is not None
    mean, rstd = _statistics(x.detach(), running_mean, running_var, training, momentum, eps)
    if not needs_dispatch(x, weight, bias, slope, shortcut):
        return _forward(x, weight, bias, slope, shortcut, mean, rstd, training, activation)
    out = _normalise(x, weight, bias, slope, shortcut, mean, rstd, training, activation)
    if shortcut is None:
        can_be_made_again(out, _forward, x, weight, bias, slope, None, mean, rstd, training, activation)
    return out


def runs_in_machine_code(x: Tensor) -> bool:
    """Whether maps like ``x`` are, if parameters and shortcut allow it."""
    if is_exporting() or torch.compiler.is_compiling() or torch.jit.is_tracing():  # pyright: ignore
        return False
    if type(x) is not Tensor or x.device.type != "cpu" or x.dtype not in DTYPES or x.ndim != 4:
        return False
    return x.is_contiguous(memory_format=torch.channels_last)


def _is_supported(
    x: Tensor, vectors: tuple[Tensor | None, ...], slope: Tensor | None, shortcut: Tensor | None, training: bool
) -> bool:
    if not runs_in_machine_code(x) or x.numel() // max(1, x.shape[1]) <= training:
        return False
    given = [*vectors] if slope is None else [*vectors, slope]
    same = shortcut is None or (shortcut.shape == x.shape and shortcut.dtype == x.dtype)
    return same and all(v is not None and v.dtype == torch.float32 and v.shape == x.shape[1:2] for v in given)


@torch.no_grad()
def _statistics(
    x: Tensor, running_mean: Tensor, running_var: Tensor, training: bool, momentum: float, eps: float
) -> tuple[Tensor, Tensor]:
    """Return mean and reciprocal standard deviation; in training, of the batch, after an update of the running ones."""
    if not training:
        return running_mean.clone(), (running_var + eps).rsqrt()
    mean, var = norm_activation_cpu.moments(x)
    count = x.numel() // x.shape[1]
    running_mean.lerp_(mean, momentum)
    running_var.lerp_(var * (count / (count - 1)), momentum)
    return mean, (var + eps).rsqrt()


def _forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    slope: Tensor | None,
    shortcut: Tensor | None,
    mean: Tensor,
    rstd: Tensor,
    of_batch: bool,
    activation: str,
) -> Tensor:
    shortcut = None if shortcut is None else in_channels_last(shortcut)
    return norm_activation_cpu.forward(in_channels_last(x), mean, rstd * weight, bias, slope, shortcut, activation)


# Mean and rstd have no gradient of their own: if they are ``of_batch``, that of x takes them into account.
_normalise = torch.library.custom_op("facerec::norm_activation", _forward, mutates_args=())


@torch.library.custom_op("facerec::norm_activation_backward", mutates_args=())
def _gradients(
    grad_out: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    slope: Tensor | None,
    mean: Tensor,
    rstd: Tensor,
    of_batch: bool,
    activation: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute the gradients of x, weight, bias and slope; without a slope the last is an empty tensor."""
    grad_out, x, scale = in_channels_last(grad_out), in_channels_last(x), rstd * weight
    given = (grad_out, x, mean, scale, bias, slope)
    along_ones, along_x, *of_slope = norm_activation_cpu.sums_of_gradient(*given, activation)
    along = constant = torch.zeros_like(scale)
    if of_batch:
        count = x.numel() // x.shape[1]
        along = (along_x * rstd.double().square() * scale / -count).float()
        constant = (along_ones * scale / -count).float()
    grad_x = norm_activation_cpu.gradient(*given, along, constant, activation)
    grad_slope = of_slope[0].float() if of_slope else x.new_empty(0, dtype=torch.float32)
    return grad_x, (along_x * rstd).float(), along_ones.float(), grad_slope


@_normalise.register_fake
def _(x: Tensor, weight, bias, slope, shortcut, mean, rstd, of_batch: bool, activation: str) -> Tensor:
    return torch.empty_like(x, memory_format=torch.channels_last)


@_gradients.register_fake
def _(grad_out: Tensor, x: Tensor, weight: Tensor, bias: Tensor, slope, mean, rstd, of_batch: bool, activation: str):
    grad_slope = torch.empty_like(bias) if slope is not None else bias.new_empty(0)
    grad_x = torch.empty_like(x, memory_format=torch.channels_last)
    return grad_x, torch.empty_like(weight), torch.empty_like(bias), grad_slope


def _save_for_backward(ctx, inputs: tuple, output: Tensor) -> None:
    x, weight, bias, slope, _, mean, rstd, ctx.of_batch, ctx.activation = inputs
    ctx.save_for_backward(x, weight, bias, slope, mean, rstd)


def _backward(ctx, grad_out: Tensor) -> tuple[Tensor | None, ...]:
    of_slope, of_shortcut = ctx.needs_input_grad[3:5]
    grad_x, grad_weight, grad_bias, grad_slope = _gradients(grad_out, *ctx.saved_tensors, ctx.of_batch, ctx.activation)
    of_all = (grad_x, grad_weight, grad_bias, grad_slope if of_slope else None, grad_out if of_shortcut else None)
    return (*of_all, None, None, None, None)


_normalise.register_autograd(_backward, setup_context=_save_for_backward)
