"""A deployed network with nodes of facerec's operators, which are described in ``ort.c`` and ``kernels.h``.

Rewritten are

- a block of 1x1 convolution, position-dependent or depthwise convolution, 1x1 convolution (the first or both 1x1 may be
  absent) with ReLU, ReLU6 or nothing after each: those of MobileNetV2, MobileFaceNet, ShuffleNetV2 and timm;
- the first convolution over the pixels, with the normalisation; 1x1 convolutions between blocks;
- every other position-dependent convolution, as an operator by itself.
"""

from timm.models._efficientnet_blocks import DepthwiseSeparableConv
from timm.models._efficientnet_blocks import InvertedResidual as TimmInvertedResidual
from torch import nn

from facerec.backbones.convolutional import ConvolutionalBackbone
from facerec.backbones.mobilenet_v2 import InvertedResidual
from facerec.backbones.pooling import WholeMapConv
from facerec.backbones.shufflenet_v2 import DownsamplingUnit, ShuffleUnit
from facerec.deploy import reparameterize, replaced
from facerec.exporting.deployed_network import EmbedsPixels
from facerec.exporting.folding import fold_batch_norms
from facerec.exporting.native.nodes import Block, MeanOverMap, Node, Pointwise, ShuffledBranches, Stem, WholeMap
from facerec.exporting.native.stages import BlockStages, Stage, first_stage, flat, stages_of
from facerec.operators.common.fused_sequence import is_sequence
from facerec.operators.common.position_dependent_base import PositionDependentConv


def native_form(backbone: nn.Module, half: bool = False) -> nn.Module:
    """Return a copy that maps pixels, uint8 ``(B, H, W, 3)``, to embeddings, and is exported with the operators.

    Outside of an export it computes the same in PyTorch.

    Args:
        backbone: maps normalised images to embeddings; not modified.
        half: store position-dependent weights as float16, which rounds them.
    """
    network = _Rewriter(half).from_pixels(fold_batch_norms(reparameterize(backbone)))
    return replaced(network, lambda operator: operator.export_form(0.0)).eval()


class _Rewriter:
    def __init__(self, half: bool) -> None:
        self.half = half

    def from_pixels(self, backbone: nn.Module) -> nn.Module:
        """Return the network from pixels to embeddings."""
        if not isinstance(backbone, ConvolutionalBackbone) or type(backbone.align) is not nn.Identity:
            return EmbedsPixels(self.rewritten(backbone))
        layers = [*backbone.features] if is_sequence(backbone.features) else [backbone.features]
        stem = first_stage(layers)
        if stem is None or stem.kind != "dense" or stem.weight.shape[1] != 3:
            return EmbedsPixels(nn.Sequential(*self.sequence(layers), *_head(backbone.embed)))
        rest = self.sequence([Stem(stem), *layers[len(stem.layers) :]])
        return nn.Sequential(*rest, *_head(backbone.embed))

    def rewritten(self, module: nn.Module) -> nn.Module:
        """Return ``module``, changed in place, or what replaces it."""
        if isinstance(module, Node):
            return module
        if (block := self.block(module)) is not None:
            return block
        if is_sequence(module):
            return nn.Sequential(*self.sequence([*module]))
        if type(module) in _NORM_BEHIND:
            self.take_norm_in(module, _NORM_BEHIND[type(module)])
        for name, child in list(module._modules.items()):
            if child is not None:
                module._modules[name] = self.rewritten(child)
        return module

    def sequence(self, layers: list[nn.Module]) -> list[nn.Module]:
        """Return what replaces ``layers``, which are applied one after the other.

        Ordinary convolutions become nodes behind nodes only: by themselves they are as fast in the runtime.
        """
        found: list[nn.Module] = []
        while layers:
            stage = first_stage(layers)
            is_behind = bool(found) and isinstance(found[-1], Node | ShuffledBranches)
            if stage is None or not (stage.by_position or (is_behind and stage.kind != "dense")):
                found.append(self.rewritten(layers[0]))
                layers = layers[1:]
            else:
                found.append(self.of_stage(stage))
                layers = layers[len(stage.layers) :]
        return found

    def of_stage(self, stage: Stage) -> Node:
        """Return the node of one convolution."""
        return Pointwise(stage) if stage.kind == "pointwise" else Block(BlockStages(stage), self.half)

    def block(self, module: nn.Module) -> nn.Module | None:
        """Return the node of a block, or None if ``module`` is none or has another form."""
        if isinstance(module, ShuffleUnit | DownsamplingUnit):
            return self.shuffled(module)
        layers, shortcut = _layers_of(module)
        stages = BlockStages.of(stages_of(layers))
        return None if stages is None else Block(stages, self.half, shortcut, module)

    def shuffled(self, unit: ShuffleUnit | DownsamplingUnit) -> nn.Module | None:
        """Return the unit with each branch as a node, or None if one has another form."""
        branches = [unit.transform, *([unit.shortcut] if isinstance(unit, DownsamplingUnit) else [])]
        stages = [BlockStages.of(stages_of([branch])) for branch in branches]
        nodes = [Block(found, self.half) for found in stages if found is not None]
        if len(nodes) < len(branches):
            return None
        return ShuffledBranches(nodes[0], nodes[1] if len(nodes) > 1 else None)

    def take_norm_in(self, block: nn.Module, norm: str) -> None:
        """Fold the normalisation of a block of timm that is no node into its position-dependent convolution."""
        layers = flat([block.get_submodule("conv_dw"), block.get_submodule(norm)])
        stage = first_stage(layers)
        if stage is not None and stage.by_position:
            block._modules["conv_dw"] = self.of_stage(stage)
            block._modules[norm] = nn.Sequential(*layers[len(stage.layers) :])


_NORM_BEHIND: dict[type[nn.Module], str] = {TimmInvertedResidual: "bn2", DepthwiseSeparableConv: "bn1"}
_LAYERS: dict[type[nn.Module], tuple[str, ...]] = {
    TimmInvertedResidual: ("conv_pw", "bn1", "conv_dw", "bn2", "aa", "se", "conv_pwl", "bn3"),
    DepthwiseSeparableConv: ("conv_dw", "bn1", "aa", "se", "conv_pw", "bn2"),
}


def _layers_of(module: nn.Module) -> tuple[list[nn.Module], bool]:
    """Return the layers of a block, and whether its input is added to them; no layers if it is none."""
    if isinstance(module, PositionDependentConv):
        return [module], False
    if isinstance(module, InvertedResidual):
        return [module.layers], module.has_shortcut
    if isinstance(module, TimmInvertedResidual | DepthwiseSeparableConv) and module.conv_s2d is None:
        return [module.get_submodule(name) for name in _LAYERS.get(type(module), ())], module.has_skip
    return [], False


def _head(embed: nn.Module) -> list[nn.Module]:
    """Return the layers of `facerec.backbones.pooling.embedding_layers`, whose averages are over the whole map."""
    found: list[nn.Module] = []
    for layer in embed.children():
        if isinstance(layer, nn.AvgPool2d):
            found.append(MeanOverMap())
        elif isinstance(layer, WholeMapConv):
            found.append(WholeMap(layer))
        elif not isinstance(layer, nn.Flatten):
            found.append(layer)
    return found
