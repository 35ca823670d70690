"""Convolutions with what follows them folded in, as the kernels compute them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from facerec.backbones.activations import ReLU6
from facerec.operators.common.batch_norm import scale_and_offset
from facerec.operators.common.fused_sequence import is_sequence
from facerec.operators.common.grid_conv import GridConv
from facerec.operators.common.position_dependent_base import PositionDependentConv
from facerec.surgery import ChannelOffset

_ACTIVATIONS: dict[type[nn.Module], int] = {nn.ReLU: 1, nn.ReLU6: 2, ReLU6: 2, nn.PReLU: 3}  # as kernels.h has them
_NOTHING = (nn.Identity, nn.Dropout, nn.Dropout2d)
_LARGEST_KERNEL = 15  # FACEREC_LARGEST_KERNEL


@dataclass
class Stage:
    """A convolution, normalisations folded into it, and its activation.

    Attributes:
        kind: "dense", "spatial" (a filter a channel) or "pointwise".
        weight: ``(out, in, k, k)``, ``(k * k, [H, W,] C)`` or ``(out, in)``; H and W may be those of a grid.
        bias: ``(C,)`` or, of a position-dependent convolution, ``(H, W, C)``.
        by_position: whether there is a filter at each position.
        grid: (H, W) of the points that have filters; (0, 0): all positions have their own.
        nearest: with a grid, whether each part of the map has its point's filter; else they are interpolated.
        activation: 0: none, 1: ReLU, 2: ReLU6, 3: PReLU.
        slope: of PReLU, ``(C,)``.
        layers: what it stands for.
    """

    kind: str
    weight: Tensor
    bias: Tensor
    kernel: int = 1
    stride: int = 1
    by_position: bool = False
    grid: tuple[int, int] = (0, 0)
    nearest: bool = False
    activation: int = 0
    slope: Tensor | None = None
    layers: list[nn.Module] = field(default_factory=list)

    def absorbs(self, layer: nn.Module) -> bool:
        """Fold ``layer``, the next one, into this stage, and return whether that is possible."""
        if isinstance(layer, _NOTHING):
            return True
        if self.activation:
            return False
        if type(layer) in _ACTIVATIONS:
            self.activation = _ACTIVATIONS[type(layer)]
            self.slope = layer.weight.expand(self.bias.shape[-1]) if isinstance(layer, nn.PReLU) else None
        elif isinstance(layer, ChannelOffset):
            self.bias = self.bias + layer.bias
        elif type(layer) is nn.BatchNorm2d:
            self._scale(*scale_and_offset(layer))
        else:
            return False
        return True

    def _scale(self, scale: Tensor, offset: Tensor) -> None:
        channels_last = self.kind == "spatial"
        self.weight = self.weight * (scale if channels_last else scale.view(-1, *[1] * (self.weight.ndim - 1)))
        self.bias = self.bias * scale + offset


def stages_of(layers: Iterable[nn.Module]) -> list[Stage] | None:
    """Return ``layers`` as stages, or None if something else is among them."""
    rest, found = flat(layers), list[Stage]()
    while rest:
        stage = first_stage(rest)
        if stage is None:
            return None
        found.append(stage)
        rest = rest[len(stage.layers) :]
    return found


def first_stage(layers: Sequence[nn.Module]) -> Stage | None:
    """Return the convolution that ``layers`` begin with, and all that it absorbs; None if they begin otherwise."""
    stage = _of_convolution(layers[0]) if layers else None
    if stage is None:
        return None
    stage.layers.append(layers[0])
    for layer in layers[1:]:
        if not stage.absorbs(layer):
            break
        stage.layers.append(layer)
    return stage


def flat(layers: Iterable[nn.Module]) -> list[nn.Module]:
    """Return what is applied one after the other; a normalisation with an activation inside counts as both."""
    found: list[nn.Module] = []
    for layer in layers:
        if is_sequence(layer):
            found += flat(layer)
        elif isinstance(layer, nn.BatchNorm2d) and isinstance(layer, BatchNormAct2d):
            found += [_without_activation(layer), *flat(layer.get_submodule(name) for name in ("drop", "act"))]
        else:
            found.append(layer)
    return found


def _without_activation(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    plain = nn.BatchNorm2d(norm.num_features, norm.eps, affine=norm.affine)
    plain.load_state_dict(norm.state_dict())
    return plain.eval()


def _of_convolution(layer: nn.Module) -> Stage | None:
    if isinstance(layer, PositionDependentConv):
        return _of_position(layer)
    if not isinstance(layer, nn.Conv2d) or not _is_plain(layer):
        return None
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    bias = layer.weight.new_zeros(layer.out_channels) if layer.bias is None else layer.bias
    if layer.groups == layer.in_channels == layer.out_channels > 1:
        return Stage("spatial", layer.weight.flatten(1).T, bias, kernel, stride)
    if layer.groups > 1:
        return None
    if (kernel, stride) == (1, 1):
        return Stage("pointwise", layer.weight.flatten(1), bias)
    return Stage("dense", layer.weight, bias, kernel, stride)


def _of_position(conv: PositionDependentConv) -> Stage | None:
    weight, grid, nearest = conv.weight.unflatten(1, conv.out_size), (0, 0), False
    if isinstance(conv, GridConv) and conv.points[0].numel() < weight[0].numel():
        weight, grid = conv.points, (conv.points.shape[1], conv.points.shape[2])
        nearest = conv.interpolation == "nearest"
    kernel = round(len(weight) ** 0.5)
    if kernel > _LARGEST_KERNEL or conv.stride not in (1, 2):
        return None
    bias = weight.new_zeros(weight.shape[-1]) if conv.bias is None else conv.bias
    return Stage("spatial", weight, bias, kernel, conv.stride, by_position=True, grid=grid, nearest=nearest)


def _is_plain(conv: nn.Conv2d) -> bool:
    """Whether kernel and stride are square and the kernels have them, and the padding is half a kernel of zeros."""
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    is_square = conv.kernel_size == (kernel, kernel) and conv.stride == (stride, stride)
    fits = kernel % 2 == 1 and kernel <= _LARGEST_KERNEL and stride in (1, 2) and tuple(conv.dilation) == (1, 1)
    is_padded = tuple(conv.padding) == (kernel // 2, kernel // 2) and conv.padding_mode == "zeros"
    return is_square and fits and is_padded and type(conv).forward is nn.Conv2d.forward


@dataclass
class BlockStages:
    """A 1x1 convolution, one with a filter a channel, a 1x1 convolution; the first or both 1x1 may be absent."""

    spatial: Stage
    expand: Stage | None = None
    project: Stage | None = None

    @classmethod
    def of(cls, stages: list[Stage] | None) -> "BlockStages | None":
        """Return the stages as a block, or None if they have another form."""
        match [(stage.kind, stage) for stage in stages or []]:
            case [("spatial", spatial)]:
                return cls(spatial)
            case [("spatial", spatial), ("pointwise", project)]:
                return cls(spatial, None, project)
            case [("pointwise", expand), ("spatial", spatial), ("pointwise", project)]:
                return cls(spatial, expand, project)
        return None

    @property
    def layers(self) -> list[nn.Module]:
        """What the block stands for."""
        return [layer for stage in (self.expand, self.spatial, self.project) if stage for layer in stage.layers]
