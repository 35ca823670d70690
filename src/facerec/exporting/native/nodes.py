"""Modules that become nodes of facerec's operators, or stand between them.

Maps are ``(B, C, H, W)`` between modules. Each permutes them to the nodes' ``(B, H, W, C)`` and back, and the exporter
takes out the pairs of permutations between neighbours.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.backbones.pooling import WholeMapConv
from facerec.data.loading import normalise
from facerec.exporting.native import packing
from facerec.exporting.native.stages import BlockStages, Stage
from facerec.kernels.dispatch import is_exporting
from facerec.operators.base import Size, halve


class Node(nn.Module):
    """Computes as ``plain`` does, and is exported as a node of the operator ``name`` (ort.c).

    Args:
        plain: not registered as a child, so that nothing of it is written.
        tensors: the inputs after the maps, None for those that are not given.
    """

    def __init__(
        self,
        name: str,
        plain: Callable[[Tensor], Tensor],
        tensors: Sequence[Tensor | None],
        attributes: Mapping[str, int],
    ) -> None:
        super().__init__()
        self.name, self.attributes = f"facerec::{name}", {**attributes, "version": packing.VERSION}
        self._plain, self._names = (plain,), [f"input_{number}" for number, _ in enumerate(tensors, start=1)]
        for own, tensor in zip(self._names, tensors, strict=True):
            self.register_buffer(own, tensor)

    def plain(self, x: Tensor) -> Tensor:
        """Compute the same in PyTorch."""
        return self._plain[0](x)

    def node(self, x: Tensor, size: Size, channels: int) -> Tensor:
        """Write the node: maps ``(B, H, W, C)`` to ``(B, *size, channels)``."""
        inputs = (x, *(getattr(self, name) for name in self._names))
        shape = (x.shape[0], *size, channels)
        return torch.onnx.ops.symbolic(
            self.name, inputs, {**self.attributes}, dtype=torch.float32, shape=shape, version=1
        )


class Stem(Node):
    """The first convolution, from pixels, uint8 ``(B, H, W, 3)``, to maps."""

    def __init__(self, stage: Stage) -> None:
        layers = nn.Sequential(*stage.layers)
        attributes = {"kernel": stage.kernel, "stride": stage.stride, "activation": stage.activation}
        inputs = (_packed(packing.pack_stem, stage.weight), _own(stage.bias), _slope(stage))
        super().__init__("Stem", lambda images: layers(normalise(images)), inputs, attributes)
        self.channels, self.stride = len(stage.bias), stage.stride

    def forward(self, images: Tensor) -> Tensor:
        if not is_exporting():
            return self.plain(images)
        size = halve((images.shape[1], images.shape[2]), self.stride)
        return self.node(images, size, self.channels).permute(0, 3, 1, 2)


class Pointwise(Node):
    """A 1x1 convolution."""

    def __init__(self, stage: Stage) -> None:
        super().__init__("Pointwise", nn.Sequential(*stage.layers), _inputs(stage), {"activation": stage.activation})
        self.channels = len(stage.bias)

    def forward(self, x: Tensor) -> Tensor:
        if not is_exporting():
            return self.plain(x)
        return self.node(x.permute(0, 2, 3, 1), (x.shape[2], x.shape[3]), self.channels).permute(0, 3, 1, 2)


class Block(Node):
    """A block, or its middle alone.

    Args:
        plain: computes the same; None: the stages' layers.
        shortcut: whether the input is added to the output.
        half: store the weights of a position-dependent convolution as float16, but for those on a grid, which are few.
    """

    def __init__(self, stages: BlockStages, half: bool, shortcut: bool = False, plain: nn.Module | None = None) -> None:
        spatial, expand, project = stages.spatial, stages.expand, stages.project
        half = half and spatial.by_position and not any(spatial.grid)
        attributes = {"kernel": spatial.kernel, "stride": spatial.stride, "activation": spatial.activation}
        attributes["by_position"] = int(spatial.by_position)
        attributes["grid_height"], attributes["grid_width"] = spatial.grid
        attributes["grid_nearest"] = int(spatial.nearest)
        inputs = [*(_rounded_inputs(spatial) if half else _conv_inputs(spatial)), _slope(spatial)]
        if project:
            inputs += [*_inputs(expand), *_inputs(project)]
            attributes["expand_activation"] = expand.activation if expand else 0
            attributes["project_activation"] = project.activation
            attributes["shortcut"] = int(shortcut)
        super().__init__("Block" if project else "TVConv", plain or nn.Sequential(*stages.layers), inputs, attributes)
        self.stride, self.channels = spatial.stride, len(project.bias) if project else spatial.weight.shape[-1]

    def forward(self, x: Tensor) -> Tensor:
        if not is_exporting():
            return self.plain(x)
        size = halve((x.shape[2], x.shape[3]), self.stride)
        return self.node(x.permute(0, 2, 3, 1), size, self.channels).permute(0, 3, 1, 2)


def _conv_inputs(stage: Stage) -> list[Tensor | None]:
    return [_packed(packing.pack_conv, stage.weight), _smallest(stage.bias), None]


def _rounded_inputs(stage: Stage) -> list[Tensor | None]:
    """Return the weight in float16, the bias and the scale of both."""
    scale = _packed(packing.half_scale, stage.weight)
    weight = stage.weight.detach().float().cpu() / scale
    return [_packed(partial(packing.pack_conv, half=True), weight), _smallest(stage.bias.detach().cpu() / scale), scale]


def _inputs(stage: Stage | None) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    if stage is None:
        return None, None, None
    return _packed(packing.pack_pointwise, stage.weight), _own(stage.bias), _slope(stage)


def _slope(stage: Stage) -> Tensor | None:
    return None if stage.slope is None else _own(stage.slope)


def _packed(pack: Callable[[np.ndarray], np.ndarray], weight: Tensor) -> Tensor:
    return torch.from_numpy(pack(weight.detach().float().cpu().numpy()))


def _own(bias: Tensor) -> Tensor:
    return bias.detach().float().cpu().clone()


def _smallest(bias: Tensor) -> Tensor | None:
    """Return ``(C,)`` where all positions are equal, and None where all are 0."""
    same = bias if bias.ndim == 1 else bias[0, 0]
    if not (bias == same).all():
        return _own(bias)
    return _own(same) if same.any() else None


class ShuffledBranches(nn.Module):
    """A unit of ShuffleNetV2 whose channels stay the last dimension; without ``shortcut``, half of them are kept."""

    def __init__(self, transform: nn.Module, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.transform, self.shortcut = transform, shortcut

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        kept, transformed = x.chunk(2, dim=3) if self.shortcut is None else (_channels_last(self.shortcut, x), x)
        pair = torch.stack((kept, _channels_last(self.transform, transformed)), dim=-1)
        return pair.flatten(3).permute(0, 3, 1, 2)


def _channels_last(module: nn.Module, x: Tensor) -> Tensor:
    """Apply a module of maps to ``(B, H, W, C)``."""
    return module(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class MeanOverMap(nn.Module):
    """``(B, C, H, W)`` to ``(B, C)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).mean((1, 2))


class WholeMap(nn.Module):
    """A `WholeMapConv`, ``(B, C, H, W)`` to ``(B, C_out)``."""

    def __init__(self, conv: WholeMapConv) -> None:
        super().__init__()
        weight = conv.weight.detach().permute(0, 2, 3, 1)
        self.over_channels = conv.groups == 1
        weight = weight.flatten(1) if self.over_channels else weight[..., 0].movedim(0, 2)
        self.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
        self.bias = None if conv.bias is None else nn.Parameter(conv.bias.detach(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        if self.over_channels:
            return F.linear(x.flatten(1), self.weight, self.bias)
        out = (x * self.weight).sum((1, 2))
        return out if self.bias is None else out + self.bias
