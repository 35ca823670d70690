"""TVConv's generator of weights from affinity maps (arXiv 2203.10489, section 3.2)."""

from itertools import pairwise

from torch import Tensor, nn

from facerec.checks import check_choice
from facerec.kernels.generator import generate, in_groups, layer_norm
from facerec.operators.base import halve
from facerec.operators.common.fused_sequence import has_hooks


class WeightGenerator(nn.Sequential):
    """The layers, with a method that computes the same faster."""

    def by_group(self, maps: Tensor, groups: int = 1) -> Tensor:
        """Return what is generated from ``maps``, ``(1, c_A, H, W)``, as ``(G, H, W, O / G)``, contiguous.

        Args:
            groups: G; output ``c * G + g`` of the last convolution is channel c of group g.
        """
        if not self._is_published():
            return in_groups(self(maps), groups)
        convolutions = [layer for layer in self if isinstance(layer, nn.Conv2d)]
        norms = [layer for layer in self if isinstance(layer, _LayerNorm)]
        filters, scales = [conv.weight for conv in convolutions], [norm.weight for norm in norms]
        shifts, stride = [norm.bias for norm in norms], convolutions[0].stride[0]
        return generate(maps, filters, scales, shifts, norms[0].eps, stride, groups)

    def _is_published(self) -> bool:
        """Whether the convolutions have zero padding and full layer norms, and no layer has a hook."""
        full = isinstance(self[1], _LayerNorm) and self[-1].padding_mode == "zeros"
        return full and not any(has_hooks(layer) for layer in self)


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
    stride: int = 1,
) -> WeightGenerator:
    """Return ``hidden_layers + 2`` convolutions that map ``(1, in_channels, H, W)`` to ``(1, out_channels, H, W)``.

    Args:
        stride: of the first, 1 or 2; before the last, the map is interpolated to ``size``, (H, W).

    Raises:
        ValueError: an unknown norm, affine or padding.
    """
    if padding not in ("zeros", "replicate"):
        raise ValueError(f"generator_padding must be zeros or replicate, got {padding!r}")
    check_choice("generator_affine", affine, ("full", "channel", "none"))
    check_choice("generator_norm", norm, ("layer", "instance", "batch", "none"))

    def conv(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
        return nn.Conv2d(
            channels_in, channels_out, kernel_size, stride, kernel_size // 2, padding_mode=padding, bias=False
        )

    widths, hidden_size = [in_channels] + [hidden_channels] * (hidden_layers + 1), halve(size, stride)
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(widths):
        convolution = conv(width_in, width_out, 1 if layers else stride)
        layers += [convolution, _normalisation(norm, affine, width_out, hidden_size), nn.ReLU(inplace=True)]
    upsampled = [nn.Upsample(size, mode="bilinear")] if stride > 1 else []
    return WeightGenerator(*layers, *upsampled, conv(hidden_channels, out_channels))


def reset_generator(generator: nn.Sequential) -> None:
    """Initialise the convolutions Kaiming normal (fan out), and the normalisations with scale 1 and shift 0."""
    for layer in generator:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.LayerNorm | nn.GroupNorm | nn.InstanceNorm2d | nn.BatchNorm2d):
            layer.reset_parameters()


def count_generator_macs(generator: nn.Sequential, size: tuple[int, int]) -> int:
    """Return the multiply-adds of the generator's convolutions for maps of ``size``, (H, W)."""
    *hidden, last = (layer for layer in generator if isinstance(layer, nn.Conv2d))
    height, width = halve(size, hidden[0].stride[0])
    in_all = sum(conv.weight.numel() for conv in hidden) * height * width
    return in_all + last.weight.numel() * size[0] * size[1]


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
        return layer_norm(input, self.weight, self.bias, self.eps)


def _channels_last(maps: Tensor) -> Tensor:
    """Return ``(C, H, W)`` in the memory order of ``(H, W, C)``."""
    return maps.permute(1, 2, 0).contiguous().permute(2, 0, 1)
