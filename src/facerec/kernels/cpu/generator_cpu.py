"""The layers of `facerec.kernels.generator` on the CPU, in float32, and their gradients.

Of a large map, a convolution of many inputs is Winograd's (`facerec.kernels.cpu.winograd_cpu`), and the layer norm with
its ReLU is the project's (`facerec.kernels.cpu.layer_norm_cpu`); others are PyTorch's.

(H, W) map; I inputs, O outputs of a convolution, in G groups. Maps, filters, scales and shifts are in channels_last
memory.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from facerec.kernels.cpu import layer_norm_cpu, winograd_cpu

# Smaller convolutions have too few tiles, or inputs, to pay for what goes before and after the matrix products.
LEAST_INPUTS, LEAST_POSITIONS = 16, 576
# For fewer elements, calls cost more than passes over the map.
LEAST_ELEMENTS = 1 << 17

# What a layer keeps for its gradients.
Kept = tuple[Tensor, ...]


def convolve(x: Tensor, weight: Tensor, stride: int = 1, groups: int = 1) -> tuple[Tensor, Kept]:
    """Convolve ``(1, I, H_in, W_in)`` with ``(O, I, 3, 3)`` to ``(G, H, W, O / G)``, see `in_groups`."""
    if stride == 1 and x.shape[1] >= LEAST_INPUTS and x.shape[2] * x.shape[3] >= LEAST_POSITIONS:
        filters = winograd_cpu.transformed_filters(weight, groups)
        out, windows = winograd_cpu.forward(x, filters, groups)
        return out, (windows, filters)
    return in_groups(F.conv2d(x, weight, stride=stride, padding=1), groups), (x, weight)


def convolution_gradients(grad_out: Tensor, kept: Kept, stride: int = 1) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and weight."""
    x, filters = kept
    if x.ndim == 3:
        return winograd_cpu.gradients(grad_out, x, filters)
    by_channel = grad_out.permute(3, 0, 1, 2).flatten(0, 1)[None]
    geometry = ([stride, stride], [1, 1], [1, 1], False, [0, 0], 1)  # stride, padding, dilation, ..., groups
    wanted = [True, True, False]
    of_x, of_weight, _ = torch.ops.aten.convolution_backward(by_channel, x, filters, None, *geometry, wanted)
    return of_x, of_weight


def in_groups(maps: Tensor, groups: int) -> Tensor:
    """Return ``(1, O, H, W)`` as ``(G, H, W, O / G)``, contiguous; channel c of group g is output ``c * G + g``."""
    return maps[0].unflatten(0, (-1, groups)).permute(1, 2, 3, 0).contiguous()


def normalise(x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> tuple[Tensor, Kept]:
    """Return the ReLU of the layer norm of ``(1, C, H, W)``; scale and shift are ``(C, H, W)``."""
    if x.numel() >= LEAST_ELEMENTS:
        kept = (x, *layer_norm_cpu.statistics(x, eps))
        return layer_norm_cpu.forward(x, scale, shift, *kept[1:]), kept
    flat, scale, shift = (maps.permute(1, 2, 0).ravel() for maps in (x[0], scale, shift))
    out, mean, rstd = torch.native_layer_norm(flat, flat.shape, scale, shift, eps)
    out = out.relu_().view(1, *x.shape[2:], -1).permute(0, 3, 1, 2)
    return out, (x, mean, rstd, out)


def normalisation_gradients(
    grad_out: Tensor, scale: Tensor, shift: Tensor, kept: Kept
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, scale and shift."""
    x, mean, rstd, *clipped = kept
    if not clipped:
        return layer_norm_cpu.gradients(grad_out, x, scale, shift, mean, rstd)
    before = torch.ops.aten.threshold_backward(grad_out, clipped[0], 0)
    flat = [maps.permute(1, 2, 0).ravel() for maps in (before[0], x[0], scale, shift)]
    found = torch.ops.aten.native_layer_norm_backward(*flat[:2], flat[1].shape, mean, rstd, *flat[2:], [True] * 3)
    of_x, of_scale, of_shift = (g.view(*x.shape[2:], -1).permute(2, 0, 1) for g in found)
    return of_x[None], of_scale, of_shift
