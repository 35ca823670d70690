"""TVConv's generator of weights from affinity maps: convolutions of a single map, with layer norm and ReLU between.

PyTorch's convolutions and norms are made for batches of images, and this is one map of many channels. On the CPU in
float32 it is a single function with gradients of its own (`facerec.kernels.cpu.generator_cpu`). On another device, in
another type, with other kernels than 3 x 3, and where it is compiled or exported, it is PyTorch's layers.

(H, W) map, G groups of the O outputs.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from facerec.kernels.cpu import generator_cpu
from facerec.kernels.cpu.generator_cpu import in_groups
from facerec.kernels.dispatch import in_channels_last, is_exporting


def generate(
    maps: Tensor,
    filters: Sequence[Tensor],
    scales: Sequence[Tensor],
    shifts: Sequence[Tensor],
    eps: float,
    stride: int = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve with zero padding; after each convolution but the last normalise all values together, scale, shift and
    clip at 0.

    Args:
        maps: ``(1, c_A, H, W)``.
        filters: of each convolution, two at least, ``(outputs, inputs, k, k)``, k odd.
        scales, shifts: of each norm, ``(C, H / stride, W / stride)`` rounded up, best in the order of ``(H, W, C)`` in
            memory.
        eps: added to the variance.
        stride: of the first convolution; before the last, the map is interpolated bilinearly to (H, W).
        groups: G, a divisor of O.

    Returns:
        ``(G, H, W, O / G)``, contiguous; output ``c * G + g`` of the last convolution is channel c of group g.
    """
    tensors = (maps, *filters, *scales, *shifts)
    if _is_supported(tensors) and all(weight.shape[2:] == (3, 3) for weight in filters):
        return _Generate.apply(eps, stride, groups, *tensors)  # pyright: ignore[reportReturnType]
    return plain(maps, filters, scales, shifts, eps, stride, groups)


def plain(
    maps: Tensor,
    filters: Sequence[Tensor],
    scales: Sequence[Tensor],
    shifts: Sequence[Tensor],
    eps: float,
    stride: int = 1,
    groups: int = 1,
) -> Tensor:
    """`generate` in PyTorch's layers."""
    size, padding = maps.shape[2:], filters[0].shape[2] // 2
    for index, (weight, scale, shift) in enumerate(zip(filters[:-1], scales, shifts, strict=True)):
        maps = F.conv2d(maps, weight, stride=1 if index else stride, padding=padding)
        maps = F.relu(layer_norm(maps, scale, shift, eps), inplace=True)
    return in_groups(F.conv2d(_upsampled(maps, size), filters[-1], padding=padding), groups)


def layer_norm(maps: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
    """Normalise ``(1, C, H, W)``, without PyTorch's conversion from channels_last memory and back."""
    by_position, scale, shift = (m.permute(1, 2, 0) for m in (maps[0], scale, shift))
    return F.layer_norm(by_position, by_position.shape, scale, shift, eps).permute(2, 0, 1)[None]


def _is_supported(tensors: Sequence[Tensor]) -> bool:
    if is_exporting() or torch.compiler.is_compiling() or torch.jit.is_tracing():  # pyright: ignore
        return False
    known = all(type(t) in (Tensor, nn.Parameter) and t.dtype == torch.float32 and t.is_cpu for t in tensors)
    return known and not torch.is_autocast_enabled("cpu")


def _upsampled(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    return maps if maps.shape[2:] == size else F.interpolate(maps, size, mode="bilinear")


class _Generate(torch.autograd.Function):
    """Filters, scales and shifts are the last arguments; of n convolutions, n, n - 1 and n - 1."""

    @staticmethod
    def forward(ctx: Any, eps: float, stride: int, groups: int, maps: Tensor, *parameters: Tensor) -> Tensor:
        filters, scales, shifts = _by_kind(parameters)
        size, maps, kept = maps.shape[2:], in_channels_last(maps), []
        for index, (weight, scale, shift) in enumerate(zip(filters[:-1], scales, shifts, strict=True)):
            out, of_convolution = generator_cpu.convolve(maps, weight, 1 if index else stride)
            maps, of_norm = generator_cpu.normalise(out.permute(0, 3, 1, 2), scale, shift, eps)
            kept += [of_convolution, (*of_norm, scale, shift)]
        ctx.size, ctx.small_size, ctx.stride = size, maps.shape[2:], stride
        out, of_convolution = generator_cpu.convolve(_upsampled(maps, size), filters[-1], 1, groups)
        kept.append(of_convolution)
        ctx.lengths = [len(tensors) for tensors in kept]
        ctx.save_for_backward(*(tensor for tensors in kept for tensor in tensors))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        kept = [tuple(next(saved) for _ in range(length)) for length in ctx.lengths]
        of_maps, of_weight = generator_cpu.convolution_gradients(grad_out.contiguous(), kept.pop())
        if ctx.small_size != ctx.size:
            sizes = [1, of_maps.shape[1], *ctx.small_size]
            of_maps = torch.ops.aten.upsample_bilinear2d_backward(of_maps, ctx.size, sizes, False)
        of_filters, of_scales, of_shifts = [of_weight], [], []
        while kept:
            *of_norm, scale, shift = kept.pop()
            of_out, of_scale, of_shift = generator_cpu.normalisation_gradients(of_maps, scale, shift, tuple(of_norm))
            stride = ctx.stride if len(kept) == 1 else 1
            of_maps, of_weight = generator_cpu.convolution_gradients(of_out.permute(0, 2, 3, 1), kept.pop(), stride)
            of_filters.append(of_weight)
            of_scales.append(of_scale)
            of_shifts.append(of_shift)
        return None, None, None, of_maps, *of_filters[::-1], *of_scales[::-1], *of_shifts[::-1]


def _by_kind(parameters: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Split filters, scales and shifts, and bring each to channels_last memory."""
    norms = (len(parameters) - 1) // 3
    filters = [in_channels_last(weight) for weight in parameters[: norms + 1]]
    affine = [in_channels_last(maps[None])[0] for maps in parameters[norms + 1 :]]
    return filters, affine[:norms], affine[norms:]
