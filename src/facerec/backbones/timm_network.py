"""Any convolutional network of the timm library, an operator in the places of its depthwise convolutions.

Wightman, "PyTorch Image Models", https://github.com/huggingface/pytorch-image-models. The last map, after the
network's own last 1x1 convolution where it has one, goes through the same layers to the embedding as in the other
backbones; pooling and classifier are left out.
"""

import difflib
from collections.abc import Sequence

import timm
import torch
from torch import Tensor, nn

from facerec.backbones.parts import check_image_size, check_images, embedding_layers
from facerec.backbones.spatial_transformer import alignment
from facerec.operators.base import Operator, Size
from facerec.surgery import Where, replace_depthwise


class TimmNetwork(nn.Module):
    """``(B, 3, H, W)`` float to ``(B, embedding_dim)``.

    Args:
        name: of the network in timm, ``timm.list_models()``; one with the name of its weights behind a dot as well.
        operator: stands for the depthwise convolutions, as in `facerec.surgery.replace_depthwise`; None leaves the
            network as timm makes it.
        image_size: (height, width) of the images. Most networks halve it five times, to a last map of 3x3 out of 96x96
            pixels; the project's own halve it four times.
        embedding_dim: of the result.
        where: the convolutions to replace, as in `replace_depthwise`.
        keep_kernel_size: an operator with a kernel size takes that of the convolution it replaces.
        pretrained: start from timm's weights, which it downloads. They were trained on images normalised otherwise.
        align: "stn" puts a spatial transformer in front, for badly aligned faces.

    Raises:
        ValueError: a name that timm does not know; a network without a map of channels, height and width for images of
            this size; what `replace_depthwise` and `alignment` refuse.
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
    ) -> None:
        super().__init__()
        self.image_size = check_image_size(image_size, 1)
        features = _create(name, pretrained)
        channels, map_size = _map_shape(features, name, self.image_size)
        if operator is not None:
            features = replace_depthwise(features, operator, self.image_size, where, keep_kernel_size)
        self.features = features
        self.embed = embedding_layers(channels, map_size, embedding_dim)
        self.embedding_dim = embedding_dim
        self.align = alignment(align, self.image_size)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images to embeddings, not yet of unit length."""
        check_images(images, self.image_size)
        return self.embed(self.features(self.align(images)))


def _create(name: str, pretrained: bool) -> nn.Module:
    """The network up to its last map."""
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        remedy = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() lists them"
        raise ValueError(f"timm has no network {name!r}; {remedy}")
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0, global_pool="")
    except (AssertionError, RuntimeError, OSError) as error:  # no map of its own, no such weights, no connection
        raise ValueError(f"timm cannot make {name} with pretrained={pretrained}: {_first_line(error)}") from error


def _map_shape(network: nn.Module, name: str, image_size: Size) -> tuple[int, Size]:
    """Channels and (height, width) of the last map."""
    last = _run_once(network, name, image_size)
    # The channels stand first, also where others, as many by chance, are the width.
    channels = {network.num_features, getattr(network, "head_hidden_size", None)}
    if not isinstance(last, Tensor) or last.ndim != 4 or last.shape[1] not in channels:
        found = f"a result of shape {tuple(last.shape)}" if isinstance(last, Tensor) else f"a {type(last).__name__}"
        raise ValueError(f"{name} gives {found}, no map of channels, height and width: take a convolutional network")
    return last.shape[1], (last.shape[2], last.shape[3])


@torch.no_grad()
def _run_once(network: nn.Module, name: str, image_size: Size) -> object:
    try:
        return network.eval()(torch.zeros(1, 3, *image_size))
    except (AssertionError, RuntimeError) as error:
        size = f"{image_size[0]}x{image_size[1]}"
        raise ValueError(f"{name} does not work with images of {size} pixels: {_first_line(error)}") from error
    finally:
        network.train()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
