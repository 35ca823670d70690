"""The weight-generating block of TVConv: affinity maps in, weights out (arXiv 2203.10489, section 3.2)."""

from itertools import pairwise

from torch import nn


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
    """``(1, in_channels, H, W)`` to ``(1, out_channels, H, W)`` through ``hidden_layers + 2`` convolutions of stride 1.

    Raises:
        ValueError: an unknown norm, affine or padding; the message names the
            allowed values.
    """
    if padding not in ("zeros", "replicate"):
        raise ValueError(f"generator_padding must be 'zeros' or 'replicate', got {padding!r}")

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
    """Kaiming normal over the outgoing connections for the convolutions, as in the paper's MobileNetV2; scale 1 and
    shift 0 for the normalisations."""
    for layer in generator:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif hasattr(layer, "reset_parameters"):
            layer.reset_parameters()  # pyright: ignore[reportCallIssue]


def count_generator_macs(generator: nn.Sequential, size: tuple[int, int]) -> int:
    """Multiply-adds of the generator's convolutions for maps of ``size``, however many images its weights serve."""
    return sum(conv.weight.numel() * size[0] * size[1] for conv in generator if isinstance(conv, nn.Conv2d))


def _normalisation(norm: str, affine: str, channels: int, size: tuple[int, int]) -> nn.Module:
    if affine not in ("full", "channel", "none"):
        raise ValueError(f"generator_affine must be 'full', 'channel' or 'none', got {affine!r}")
    learns = affine != "none"
    match norm:
        case "layer" if affine == "full":
            return nn.LayerNorm([channels, *size])
        case "layer":
            # One group over all channels and positions has the statistics of the layer norm, and a scale for each
            # channel.
            return nn.GroupNorm(1, channels, affine=learns)
        case "instance":
            return nn.InstanceNorm2d(channels, affine=learns)
        case "batch":
            return nn.BatchNorm2d(channels, affine=learns)
        case "none":
            return nn.Identity()
    raise ValueError(f"generator_norm must be 'layer', 'instance', 'batch' or 'none', got {norm!r}")
