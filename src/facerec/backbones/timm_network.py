"""Convolutional networks of the timm library, with an operator instead of their depthwise convolutions.

Wightman, "PyTorch Image Models", https://github.com/huggingface/pytorch-image-models. The layers
from the last map to the embedding are those of the other backbones and replace timm's pooling and classifier.
"""

import difflib
from collections.abc import Sequence
from typing import Any, cast

import timm
import torch
from timm.layers.create_act import get_act_layer
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from facerec.backbones.activations import activation_of
from facerec.backbones.convolutional import ConvolutionalBackbone
from facerec.backbones.parts import check_image_size
from facerec.operators.base import Operator, Size
from facerec.operators.common.fused_sequence import (
    activation_name,
    fuse_sequences,
    has_running_statistics,
    normalised,
    pays,
)
from facerec.surgery import Where, replace_depthwise


class TimmNetwork(ConvolutionalBackbone):
    """A timm network: float images ``(B, 3, H, W)`` to embeddings ``(B, embedding_dim)``.

    Args:
        name: the network's name in ``timm.list_models()``, optionally with ".weights" appended.
        operator: replaces the depthwise convolutions as in `facerec.surgery.replace_depthwise`; None keeps them.
        image_size: (height, width) of the images. Most networks halve it five times, from 96x96 pixels to a map of 3x3;
            the project's own halve it four times.
        embedding_dim: elements of an embedding.
        where: the convolutions to replace, as in `replace_depthwise`.
        keep_kernel_size: give an operator the kernel size of the convolution it replaces, if it has that option.
        pretrained: download timm's weights, which were trained on images with a different normalisation.
        align: "stn" puts a spatial transformer in front, for badly aligned faces.
        pooling: of the last map, as in `embedding_layers`.
        activation: instead of the network's own, in all places where timm lets one choose: one of relu6, prelu (one
            slope per layer), hardswish, silu, relu. None: the network's own.

    Raises:
        ValueError: a name that timm does not know; an activation for a network that has no choice; a network without a
            feature map at this size; what `replace_depthwise` and `alignment` refuse.
    """

    def __init__(
        self,
        name: str,
        operator: Operator | None = None,
        image_size: Sequence[int] = (96, 96),
        embedding_dim: int = 512,
        where: Where = "*",
        keep_kernel_size: bool = True,
        pretrained: bool = False,
        align: str | None = None,
        pooling: str = "average",
        activation: str | None = None,
    ) -> None:
        super().__init__()
        self.image_size = check_image_size(image_size, 1)
        features = _create(name, pretrained, activation)
        channels, map_size = _map_shape(features, name, self.image_size)
        if operator is not None:
            features = replace_depthwise(features, operator, self.image_size, where, keep_kernel_size)
        self.assemble(_fuse_norms(features), channels, map_size, embedding_dim, align, pooling)


class FusedBatchNormAct2d(BatchNormAct2d):
    """timm's BatchNorm with an activation, with the same modules and results, up to rounding, computed as one."""

    def forward(self, x: Tensor) -> Tensor:
        act, norm = cast(nn.Module, self.act), cast(nn.BatchNorm2d, self)
        known = "none" if isinstance(act, nn.Identity) else activation_name(act)
        plain = not isinstance(self.drop, nn.Identity) or not has_running_statistics(norm)
        if known is None or plain or not pays(x):
            return super().forward(x)
        return normalised(norm, x, known, act)

    def _get_name(self) -> str:
        return BatchNormAct2d.__name__


def _fuse_norms(network: nn.Module) -> nn.Module:
    """Let each norm inside ``network``, in place, be computed with its activation; returns ``network``."""
    for module in network.modules():
        if type(module) is BatchNormAct2d:
            module.__class__ = FusedBatchNormAct2d
    return fuse_sequences(network)


def _create(name: str, pretrained: bool, activation: str | None) -> nn.Module:
    """Create the network up to its last map."""
    check_name(name)
    chosen: dict[str, Any] = {} if activation is None else {"act_layer": _timm_activation(activation)}
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0, global_pool="", **chosen)
    except TypeError as error:
        if "act_layer" not in str(error):
            raise
        raise ValueError(f"{name} has no choice of activation, got {activation!r}: leave activation out") from error
    except (AssertionError, RuntimeError, OSError) as error:  # no feature map, no such weights, no connection
        raise ValueError(f"timm cannot make {name} with pretrained={pretrained}: {first_line(error)}") from error


def check_name(name: str) -> None:
    """Raise `ValueError`, with near names, unless timm knows the network ``name``."""
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        remedy = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() lists them"
        raise ValueError(f"timm has no network {name!r}; {remedy}")


def _timm_activation(name: str) -> Any:
    activation_of(name)  # refuses a name that the other backbones do not have
    return get_act_layer("hard_swish" if name == "hardswish" else name)


def _map_shape(network: nn.Module, name: str, image_size: Size) -> tuple[int, Size]:
    """Return channels and (height, width) of the last map."""
    last = run_once(network, name, image_size)
    # The channels must come first, even if the width happens to be the same number.
    channels = {network.num_features, getattr(network, "head_hidden_size", None)}
    if not isinstance(last, Tensor) or last.ndim != 4 or last.shape[1] not in channels:
        found = f"a result of shape {tuple(last.shape)}" if isinstance(last, Tensor) else f"a {type(last).__name__}"
        raise ValueError(f"{name} gives {found}, not a map of channels, height and width: take a convolutional network")
    return last.shape[1], (last.shape[2], last.shape[3])


@torch.no_grad()
def run_once(network: nn.Module, name: str, image_size: Size) -> Any:
    """Return what the network ``name`` of timm makes of an image of zeros, in evaluation.

    Raises `ValueError` if it does not work with images of this size.
    """
    try:
        return network.eval()(torch.zeros(1, 3, *image_size))
    except (AssertionError, RuntimeError) as error:
        size = f"{image_size[0]}x{image_size[1]}"
        raise ValueError(f"{name} does not work with images of {size} pixels: {first_line(error)}") from error
    finally:
        network.train()


def first_line(error: Exception) -> str:
    """Return the first line of what ``error`` says, or its class's name if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
