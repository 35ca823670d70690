"""Apply convolution weights that change with position but not with the image.

    out[b, c, p] = sum over taps d of weight[d, p, c] * x_padded[b, c, stride * p + d]

as k * k shifted multiply-adds over channels_last memory. Unfolding the input first would write a copy k * k times its
size; here the forward keeps the input and the weights alone for the backward.

B images, C channels, (H, W) output map, (H_in, W_in) input map, k kernel side, T = k * k taps, row by row.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from facerec.kernels.image_groups import images_at_a_time

# Images are taken in groups whose maps stay in a core's own cache through all taps: the taps read and write the same
# memory T times.
_GROUP_BYTES = 1 << 21


def position_dependent_conv(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    """Convolve each channel of ``x`` with weights of its own at each output position, zero padding ``k // 2``.

    Args:
        x: ``(B, C, H_in, W_in)``, any memory format.
        weight: ``(T, H, W, C)`` with ``T = k * k``, k odd, ``H = ceil(H_in / stride)``, ``W = ceil(W_in / stride)``.
        stride: of the output positions over the input.

    Returns:
        ``(B, C, H, W)`` in channels_last memory, of the type of ``x``.

    Raises:
        ValueError: the maps do not fit together.
    """
    _check_sizes(x, weight, stride)
    return _PositionDependentConv.apply(x, weight.to(x.dtype), stride)  # pyright: ignore[reportReturnType]


def _check_sizes(x: Tensor, weight: Tensor, stride: int) -> None:
    expected = tuple(-(-side // stride) for side in x.shape[2:])
    if tuple(weight.shape[1:3]) != expected or weight.shape[3] != x.shape[1]:
        raise ValueError(
            f"an input of {x.shape[1]} channels at {x.shape[2]}x{x.shape[3]} with stride {stride} needs weights for "
            f"{x.shape[1]} channels at {expected[0]}x{expected[1]}, got {weight.shape[3]} at "
            f"{weight.shape[1]}x{weight.shape[2]}: build the network for this image size"
        )


class _PositionDependentConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride  # pyright: ignore[reportAttributeAccessIssue]
        out = x.new_empty(x.shape[0], *weight.shape[1:])
        for images, group in _groups(x):
            for tap, shifted in enumerate(_taps(_pad(images, weight), weight, stride)):
                if tap == 0:
                    torch.mul(shifted, weight[tap], out=out[group])
                else:
                    out[group].addcmul_(shifted, weight[tap])
        return out.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_out: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        grad_out = grad_out.permute(0, 2, 3, 1).contiguous()
        grad_x = _input_gradient(x, weight, grad_out, ctx.stride) if ctx.needs_input_grad[0] else None
        grad_weight = _weight_gradient(x, weight, grad_out, ctx.stride) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight, None


def _input_gradient(x: Tensor, weight: Tensor, grad_out: Tensor, stride: int) -> Tensor:
    grad_x = torch.empty_like(x, memory_format=torch.channels_last)
    pad = _padding(weight)
    for images, group in _groups(x):
        padded = torch.zeros_like(_pad(images, weight))
        for tap, shifted in enumerate(_taps(padded, weight, stride)):
            shifted.addcmul_(grad_out[group], weight[tap])
        inside = padded[:, pad : pad + x.shape[2], pad : pad + x.shape[3]]
        grad_x[group].copy_(inside.permute(0, 3, 1, 2))
    return grad_x


def _weight_gradient(x: Tensor, weight: Tensor, grad_out: Tensor, stride: int) -> Tensor:
    grad_weight = torch.zeros_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
    for images, group in _groups(x):
        for tap, shifted in enumerate(_taps(_pad(images, weight), weight, stride)):
            grad_weight[tap] += (shifted * grad_out[group]).sum(dim=0)
    return grad_weight


def _groups(x: Tensor) -> Iterator[tuple[Tensor, slice]]:
    size = images_at_a_time(x, _GROUP_BYTES)
    for start in range(0, len(x), size):
        group = slice(start, start + size)
        yield x[group], group


def _pad(x: Tensor, weight: Tensor) -> Tensor:
    """``(B, C, H_in, W_in)`` to zero-padded ``(B, H_in + 2 P, W_in + 2 P, C)``."""
    pad = _padding(weight)
    return F.pad(x.permute(0, 2, 3, 1), (0, 0, pad, pad, pad, pad))


def _padding(weight: Tensor) -> int:
    return round(weight.shape[0] ** 0.5) // 2


def _taps(padded: Tensor, weight: Tensor, stride: int) -> Iterator[Tensor]:
    """The T views ``(B, H, W, C)`` of the padded input that the taps multiply."""
    taps, height, width, _ = weight.shape
    side = round(taps**0.5)
    for row in range(side):
        for column in range(side):
            yield padded[
                :, row : row + stride * (height - 1) + 1 : stride, column : column + stride * (width - 1) + 1 : stride
            ]
