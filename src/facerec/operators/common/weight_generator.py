"""TVConv's generator of weights from affinity maps (arXiv 2203.10489, section 3.2)."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from facerec.checks import check_choice


def weight_generator(
    in_channels: int,
    out_channels: int,
    size: tuple[int, int],
    *,
    hidden_channels: int,
    hidden_layers: int,
    kernel_size: int,
    norm: str,
    affine: str,
    padding: str,
) -> nn.Sequential:
    """Return ``hidden_layers + 2`` convolutions that map ``(1, in_channels, H, W)`` to ``(1, out_channels, H, W)``.

    Raises:
        ValueError: an unknown norm, affine or padding.
    """
    if padding not in ("zeros", "replicate"):
        raise ValueError(f"generator_padding must be zeros or replicate, got {padding!r}")
    check_choice("generator_affine", affine, ("full", "channel", "none"))
    check_choice("generator_norm", norm, ("layer", "instance", "batch", "none"))

    def conv(channels_in: int, channels_out: int) -> nn.Conv2d:
        return nn.Conv2d(
            channels_in, channels_out, kernel_size, padding=kernel_size // 2, padding_mode=padding, bias=False
        )

    widths = [in_channels] + [hidden_channels] * (hidden_layers + 1)
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(widths):
        layers += [conv(width_in, width_out), _normalisation(norm, affine, width_out, size), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, conv(hidden_channels, out_channels))


def reset_generator(generator: nn.Sequential) -> None:
    """Initialise the convolutions Kaiming normal (fan out), and the normalisations with scale 1 and shift 0."""
    for layer in generator:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.LayerNorm | nn.GroupNorm | nn.InstanceNorm2d | nn.BatchNorm2d):
            layer.reset_parameters()


def count_generator_macs(generator: nn.Sequential, size: tuple[int, int]) -> int:
    """Return the multiply-adds of the generator's convolutions for maps of ``size``, (H, W)."""
    return sum(conv.weight.numel() * size[0] * size[1] for conv in generator if isinstance(conv, nn.Conv2d))


def _normalisation(norm: str, affine: str, channels: int, size: tuple[int, int]) -> nn.Module:
    learns = affine != "none"
    match norm:
        case "layer" if affine == "full":
            return _LayerNorm([channels, *size])
        case "layer":
            # One group over all channels and positions is a layer norm with a scale per channel.
            return nn.GroupNorm(1, channels, affine=learns)
        case "instance":
            return nn.InstanceNorm2d(channels, affine=learns)
        case "batch":
            return nn.BatchNorm2d(channels, affine=learns)
    return nn.Identity()


class _LayerNorm(nn.LayerNorm):
    """Layer norm over channels and positions in channels_last memory, scale and shift included.

    PyTorch's own would convert every map to the other memory format and back.
    """

    def __init__(self, shape: list[int]) -> None:
        super().__init__(shape)
        self.weight, self.bias = (nn.Parameter(_channels_last(p.detach())) for p in (self.weight, self.bias))

    def forward(self, input: Tensor) -> Tensor:
        channels, *size = self.normalized_shape
        weight, bias = (parameter.permute(1, 2, 0) for parameter in (self.weight, self.bias))
        out = F.layer_norm(input.permute(0, 2, 3, 1), [*size, channels], weight, bias, self.eps)
        return out.permute(0, 3, 1, 2)


def _channels_last(maps: Tensor) -> Tensor:
    """Return ``(C, H, W)`` in the memory order of ``(H, W, C)``."""
    return maps.permute(1, 2, 0).contiguous().permute(2, 0, 1)
