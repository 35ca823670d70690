"""The operators in a form that can be written to a file, with the same results.

In training and in evaluation they call kernels that work on groups of images and write in place; an exporter needs
plain operators, and none that depends on how many images there are.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.exporting.exported_taps import PositionTaps, multiply_add
from facerec.kernels.per_image import depthwise_per_image, mix, pointwise_per_image
from facerec.operators.common.position_dependent_base import PositionDependentConv
from facerec.operators.condconv import RoutedConv
from facerec.operators.ddf import DDF
from facerec.operators.deformable_conv import DeformableConv
from facerec.operators.dyconv import DYConv, DynamicPointwise
from facerec.operators.involution import Involution
from facerec.operators.weightnet import WeightNet


def exportable(
    module: nn.Module, position_form: Callable[[PositionDependentConv], nn.Module] = PositionTaps
) -> nn.Module:
    """``module``, changed in place, or what takes its place; ``position_form`` makes that of fixed weights that change
    with the position."""
    for kind, form in {PositionDependentConv: position_form, **_FORMS}.items():
        if isinstance(module, kind):
            return form(module)
    for name, child in module.named_children():
        setattr(module, name, exportable(child, position_form))
    return module


def depthwise_taps(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    """`facerec.kernels.per_image.depthwise_per_image`."""
    taps = weight.flatten(2)
    return multiply_add(x, stride, weight.shape[-1], lambda tap: taps[:, None, None, :, tap])


def pointwise_products(x: Tensor, weight: Tensor) -> Tensor:
    """`facerec.kernels.per_image.pointwise_per_image`."""
    return (weight.flatten(2) @ x.flatten(2)).unflatten(2, x.shape[2:])


def pixel_taps(
    x: Tensor,
    weight: Tensor,
    kernel_size: int,
    stride: int = 1,
    channel_weight: Tensor | None = None,
    combine: str = "mul",
) -> Tensor:
    """`facerec.kernels.pixel_dependent.pixel_dependent_conv`."""
    repeats = x.shape[1] // weight.shape[2]

    def of_tap(tap: int) -> Tensor:
        position = weight[:, tap].permute(0, 2, 3, 1).repeat_interleave(repeats, dim=3)
        if channel_weight is None:
            return position
        channel = channel_weight[:, None, None, :, tap]
        return position * channel if combine == "mul" else position + channel

    return multiply_add(x, stride, kernel_size, of_tap)


def deformable_taps(x: Tensor, offsets: Tensor, modulation: Tensor, weight: Tensor, stride: int) -> Tensor:
    """torchvision's ``deform_conv2d``, depthwise: each tap samples the map by itself.

    Args:
        x: ``(B, C, H_in, W_in)``.
        offsets: ``(B, 2 * k * k, H, W)``, (down, right) in pixels for each tap.
        modulation: ``(B, k * k, H, W)``.
        weight: ``(C, 1, k, k)``.
        stride: of the output positions over the input.
    """
    side = weight.shape[-1]
    height, width = offsets.shape[2:]
    down = stride * torch.arange(height, dtype=x.dtype)[:, None] - side // 2
    right = stride * torch.arange(width, dtype=x.dtype) - side // 2
    total = torch.zeros_like(x[:, :, :1, :1])
    for tap in range(side * side):
        rows = offsets[:, 2 * tap] + down + tap // side
        columns = offsets[:, 2 * tap + 1] + right + tap % side
        # Where the corners' pixels have their middles at -1 + 1 / size and 1 - 1 / size.
        grid = torch.stack(((2 * columns + 1) / x.shape[3] - 1, (2 * rows + 1) / x.shape[2] - 1), dim=-1)
        found = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        total = total + found * modulation[:, tap, None] * weight[:, :, tap // side, tap % side, None]
    return total


class _Form(nn.Module):
    """An ``operator``, of which ``apply`` makes the output from the input."""

    def __init__(self, operator: nn.Module, apply: Callable[..., Tensor]) -> None:
        super().__init__()
        self.operator, self.apply_to = operator, apply

    def forward(self, x: Tensor) -> Tensor:
        return self.apply_to(self.operator, x)


def _involution(operator: Involution, x: Tensor) -> Tensor:
    return pixel_taps(x, operator.kernel(x), operator.kernel_size, operator.stride)


def _ddf(operator: DDF, x: Tensor) -> Tensor:
    spatial = operator.spatial_filter(x).unsqueeze(2)
    channel = operator.channel_filter(x)
    return pixel_taps(x, spatial, operator.kernel_size, operator.stride, channel, operator.combine)


def _dyconv(operator: DYConv, x: Tensor) -> Tensor:
    return depthwise_taps(x, operator.weight(x), operator.stride)


def _dynamic_pointwise(operator: DynamicPointwise, x: Tensor) -> Tensor:
    return pointwise_products(x, operator.weight(x))


def _weightnet(operator: WeightNet, x: Tensor) -> Tensor:
    filters = operator._as_filters(mix(operator.gates(x), operator.templates))
    return depthwise_taps(x, filters, operator.stride)


def _deformable(operator: DeformableConv, x: Tensor) -> Tensor:
    return deformable_taps(x, *operator.offsets_and_modulation(x), operator.weight, operator.stride)


def _routed(operator: RoutedConv) -> RoutedConv:
    """In place: the block around it knows it by its class."""
    convolve = operator.convolve
    if isinstance(convolve, partial) and convolve.func is depthwise_per_image:
        operator.convolve = partial(depthwise_taps, **convolve.keywords)
    elif convolve is pointwise_per_image:
        operator.convolve = pointwise_products
    return operator


_FORMS: dict[type[nn.Module], Callable[..., nn.Module]] = {
    RoutedConv: _routed,
    Involution: partial(_Form, apply=_involution),
    DDF: partial(_Form, apply=_ddf),
    DYConv: partial(_Form, apply=_dyconv),
    DynamicPointwise: partial(_Form, apply=_dynamic_pointwise),
    WeightNet: partial(_Form, apply=_weightnet),
    DeformableConv: partial(_Form, apply=_deformable),
}
