"""Folds BatchNorm, in evaluation a scale and an offset per channel, into the weights of neighbouring layers."""

from typing import TypeVar

import torch
from torch import Tensor, nn

from facerec.backbones.pooling import WholeMapConv
from facerec.operators.common.batch_norm import scale_and_offset
from facerec.operators.common.fused_sequence import is_sequence
from facerec.operators.common.position_dependent_base import PositionDependentConv

_Layer = TypeVar("_Layer", bound=nn.Conv2d | nn.Linear)
_Norm = nn.BatchNorm1d | nn.BatchNorm2d


@torch.no_grad()
def fold_batch_norms(module: nn.Module) -> nn.Module:
    """Fold the BatchNorm layers of ``module`` in place, and return it.

    Folded are those in an `nn.Sequential` after a convolution, a linear layer or a `PositionDependentConv`, or before
    a convolution over the whole map, or an average over it and a linear layer. Runtimes fold others after ordinary
    convolutions themselves.
    """
    for part in [part for part in module.modules() if is_sequence(part)]:
        folded = _fold_sequence([*part])
        part._modules.clear()
        part.extend(folded)
    return module


def _fold_sequence(layers: list[nn.Module]) -> list[nn.Module]:
    folded: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, _Norm) and folded and _takes_norm(folded[-1]):
            folded[-1] = _followed_by(folded[-1], *scale_and_offset(layer))
        elif isinstance(layer, nn.Linear) and (norm := _norm_of_average(folded[-3:])) is not None:
            folded[-3:] = [*folded[-2:], _preceded_by(layer, *scale_and_offset(norm))]
        elif isinstance(layer, WholeMapConv) and folded and isinstance(norm := folded[-1], _Norm):
            folded[-1] = _preceded_by(layer, *scale_and_offset(norm))
        else:
            folded.append(layer)
    return folded


def _takes_norm(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d | nn.Linear | PositionDependentConv)


def _norm_of_average(layers: list[nn.Module]) -> nn.BatchNorm2d | None:
    """Return the norm that is followed by an average over the map, and nothing else."""
    match layers:
        case [nn.BatchNorm2d() as norm, nn.AvgPool2d(), nn.Flatten()]:
            return norm
    return None


def _followed_by(layer: nn.Module, scale: Tensor, offset: Tensor) -> nn.Module:
    if isinstance(layer, PositionDependentConv):
        return layer.scaled(scale, offset)
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    weight = layer.weight * scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
    return _with(layer, weight, offset if layer.bias is None else layer.bias * scale + offset)


def _preceded_by(layer: _Layer, scale: Tensor, offset: Tensor) -> _Layer:
    """``layer`` reads all that the norm writes: it is linear, or a convolution without padding."""
    over_inputs = (-1, *[1] * (layer.weight.ndim - 2))
    bias = (layer.weight * offset.view(over_inputs)).flatten(1).sum(1)
    return _with(layer, layer.weight * scale.view(over_inputs), bias if layer.bias is None else bias + layer.bias)


def _with(layer: _Layer, weight: Tensor, bias: Tensor) -> _Layer:
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer
