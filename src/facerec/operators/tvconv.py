"""TVConv: translation-variant convolution.

Chen, He, Zhuo, Ma, Ha, Chan, "TVConv: Efficient Translation Variant Convolution for Layout-aware Visual Processing",
CVPR 2022, arXiv 2203.10489.

    A: learned affinity maps (c_A, H, W);  W = generator(A), (k * k * C, H, W)
    out[b, c, p] = sum over d of W[c, d, p] * x_padded[b, c, stride * p + d]

The weights depend on the position and not on the image, so they are generated once per batch, and deployment needs no
generator. The generator is c_A -> c_I, then ``generator_layers`` times c_I -> c_I, each a convolution, a normalisation
and a ReLU, then a convolution to k * k * C (section 3.2 and figure 4; 64 channels, 3 layers and 4 maps are the optimum
of table 3).

Deviations from the published code: the input is not unfolded; the inference form is correct at stride 2 and keeps the
    bias.
"""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.checks import check_choice, check_counts
from facerec.kernels.position_dependent import position_dependent_conv
from facerec.operators.base import SpatialOperator, halve
from facerec.operators.common.generated import Generated
from facerec.operators.common.position_dependent_base import PositionDependentConv
from facerec.operators.common.weight_generator import count_generator_macs, reset_generator, weight_generator


class TVConv(SpatialOperator):
    """A depthwise convolution with its own weights at each position, at the multiply-adds of an ordinary one.

    Args:
        stride: distance between output positions, in input pixels.
        out_size: (H, W) of the output, the size of the affinity maps.
        bias: also generate a bias per position and channel, by a second generator.
        affinity_channels: c_A, the number of affinity maps; at most 8 with ``map_init="data"``.
        map_init: the initial value of the maps, finite and not 0, or "data": the training images' mean and standard
            deviation per pixel, passed to `initialise_maps`; until then 1. The first normalisation removes the scale of
            a constant, but not its sign.
        map_weight_decay: False exempts the maps from the optimizer's weight decay.
        generator_channels: c_I.
        generator_layers: hidden layers between the first and the last convolution.
        generator_kernel_size: odd.
        generator_norm: "layer" (over channels and positions), "instance", "batch" or "none".
        generator_affine: the normalisation's scale and shift: "full", per channel and position, as published (layer
            norm only; otherwise the same as "channel"); "channel"; or "none".
        generator_padding: "zeros", as published, or "replicate", so that constant maps give the same weights
            everywhere.
        generator_stride: 1, as published, or 2: the hidden layers have half the maps' height and width, and are
            interpolated bilinearly before the last convolution.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        out_size: tuple[int, int] = (96, 96),
        *,
        kernel_size: int = 3,
        bias: bool = False,
        affinity_channels: int = 4,
        map_init: float | str = 1.0,
        map_weight_decay: bool = True,
        generator_channels: int = 64,
        generator_layers: int = 3,
        generator_kernel_size: int = 3,
        generator_norm: str = "layer",
        generator_affine: str = "full",
        generator_padding: str = "zeros",
        generator_stride: int = 1,
    ) -> None:
        super().__init__()
        check_counts(
            channels=channels,
            kernel_size=kernel_size,
            affinity_channels=affinity_channels,
            generator_channels=generator_channels,
            generator_layers=generator_layers,
            generator_kernel_size=generator_kernel_size,
        )
        check_choice("generator_stride", generator_stride, (1, 2))
        _check_map_init(map_init, affinity_channels)
        hidden_size = halve((out_size[0], out_size[1]), generator_stride)
        _check_alive(generator_norm, generator_padding, generator_kernel_size, map_init, hidden_size)
        if not isinstance(map_weight_decay, bool):
            raise ValueError(f"map_weight_decay must be true or false, got {map_weight_decay!r}")
        self.channels, self.stride, self.kernel_size = channels, stride, kernel_size
        self.map_init, self.map_weight_decay = map_init, map_weight_decay
        self._started_from: Tensor | None = None
        self._weight, self._bias = Generated(), Generated()
        self.affinity_maps = nn.Parameter(torch.empty(1, affinity_channels, *out_size))
        # Called with the number of output channels.
        self.make_generator = partial(
            weight_generator,
            affinity_channels,
            size=(out_size[0], out_size[1]),
            hidden_channels=generator_channels,
            hidden_layers=generator_layers,
            kernel_size=generator_kernel_size,
            norm=generator_norm,
            affine=generator_affine,
            padding=generator_padding,
            stride=generator_stride,
        )
        self.weight_generator = self.make_generator(kernel_size**2 * channels)
        self.bias_generator = self.make_generator(channels) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the maps to a constant, and draw the generators' convolutions from Kaiming normal (fan out)."""
        nn.init.constant_(self.affinity_maps, 1.0 if self.starts_from_data else float(self.map_init))
        reset_generator(self.weight_generator)
        if self.bias_generator is not None:
            reset_generator(self.bias_generator)

    @property
    def starts_from_data(self) -> bool:
        return self.map_init == "data"

    @torch.no_grad()
    def initialise_maps(self, statistics: Tensor) -> None:
        """Initialise from the training images' mean and standard deviation per pixel, ``(2, 3, H_image, W_image)``.

        The first two maps are their averages over the colours, the next those of red, green and blue. Each map is
        brought to mean 1 and standard deviation 1.
        """
        by_colour = torch.cat((statistics.mean(1, keepdim=True), statistics), dim=1)
        maps = by_colour.transpose(0, 1).flatten(0, 1)[: self.affinity_maps.shape[1]]
        maps = F.interpolate(maps[None], self.affinity_maps.shape[2:], mode="bilinear", antialias=True)
        deviation, mean = torch.std_mean(maps, (2, 3), correction=0, keepdim=True)
        self.affinity_maps.copy_(1 + (maps - mean) / (deviation + 1e-6))
        if self._started_from is not None:
            self.start_from(self._started_from)

    def no_weight_decay(self) -> list[nn.Parameter]:
        return [] if self.map_weight_decay else [self.affinity_maps]

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        """Start as the depthwise convolution with the filters ``weight``, ``(C, 1, k, k)``.

        Exact with ``generator_padding="replicate"`` and constant maps; otherwise exact at the middle position, and
        around it as far as the generator's features are the same (with batch norm, only in training). The last
        convolution is changed by the smallest step with this result. A later `initialise_maps` repeats the step.
        """
        self._started_from = weight
        *hidden, last = self.weight_generator
        assert isinstance(last, nn.Conv2d)
        features = nn.Sequential(*hidden)(self.affinity_maps)
        side, (row, column) = last.kernel_size[0], (features.shape[2] // 2, features.shape[3] // 2)
        pad, mode = side // 2, "constant" if last.padding_mode == "zeros" else last.padding_mode
        seen = F.pad(features, (pad, pad, pad, pad), mode=mode)[0, :, row : row + side, column : column + side]
        now, strength = torch.einsum("oihw,ihw->o", last.weight, seen), seen.square().sum()
        # Maps that will be initialised from data are still constant here, and instance or batch norm turns constants
        # into zeros: there is no signal to fit.
        step = torch.where(strength > 1e-12, (weight.reshape(-1).to(now) - now) / strength, 0)
        last.weight += step[:, None, None, None] * seen
        if self.bias_generator is not None:
            nn.init.zeros_(self.bias_generator[-1].weight)  # pyright: ignore[reportArgumentType]
        return True

    def weight(self) -> Tensor:
        """Generate the weights of every position, ``(k * k, H, W, C)``, taps row by row."""
        # The generator's channels are ordered (channel, tap).
        return self.weight_generator.by_group(self.affinity_maps, self.kernel_size**2)

    def bias(self) -> Tensor:
        """Generate the bias ``(H, W, C)``; only with ``bias=True``."""
        assert self.bias_generator is not None
        return self.bias_generator.by_group(self.affinity_maps)[0]

    def forward(self, x: Tensor) -> Tensor:
        out = position_dependent_conv(x, self._weight.get(self, self.weight), self.stride)
        if self.bias_generator is None:
            return out
        return out + self._bias.get(self, self.bias).permute(2, 0, 1).to(out.dtype)

    def train(self, mode: bool = True) -> "TVConv":
        """Switch between training and evaluation, and drop the cached weights."""
        self._weight.forget()
        self._bias.forget()
        return super().train(mode)

    def count_macs_once(self) -> int:
        generators = [g for g in (self.weight_generator, self.bias_generator) if g is not None]
        height, width = self.affinity_maps.shape[2:]
        return sum(count_generator_macs(generator, (height, width)) for generator in generators)

    @torch.no_grad()
    def inference_form(self) -> PositionDependentConv:
        """Return the convolution with the generated weights, without maps and generator."""
        return PositionDependentConv(self.weight(), self.bias() if self.bias_generator else None, self.stride)


def _check_map_init(map_init: float | str, affinity_channels: int) -> None:
    if map_init == 0:
        raise ValueError(
            "map_init must not be 0: affinity maps of zeros give zero weights and zero gradients for ever; use 1.0"
        )
    is_number = isinstance(map_init, int | float) and not isinstance(map_init, bool) and math.isfinite(map_init)
    if not is_number and map_init != "data":
        raise ValueError(f'map_init must be a finite number other than 0, or "data", got {map_init!r}')
    if map_init == "data" and affinity_channels > 8:
        raise ValueError(f"affinity_channels must be at most 8 with map_init=data, got {affinity_channels}")


def _check_alive(norm: str, padding: str, kernel_size: int, map_init: float | str, size: tuple[int, int]) -> None:
    """Refuse a normalisation per map if every map is constant, since it would turn them into zeros."""
    if norm not in ("instance", "batch"):
        return
    if size[0] * size[1] == 1:
        raise ValueError(f"generator_norm={norm} needs maps of more than one position: use layer or larger images")
    if map_init != "data" and (padding == "replicate" or kernel_size == 1):
        raise ValueError(
            f"generator_norm={norm} turns maps that are constant up to the border (generator_padding={padding}, "
            f"generator_kernel_size={kernel_size}) into zeros without a gradient: use map_init=data"
        )
