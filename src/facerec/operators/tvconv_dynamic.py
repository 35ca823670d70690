"""TVConv plus bias fields that are mixed per image.

TVConv (Chen et al., CVPR 2022, arXiv 2203.10489) gives every image the same weights at a position. Here a mixture of
few learned fields over positions and channels, with coefficients per image, is added to its output:

    out[b, c, p] = TVConv(x)[b, c, p] + sum over r of a[b, r] * F[r, p, c]
    F = field generator(A), (rank, H, W, C), from TVConv's own affinity maps A
    a = V_2 relu(V_1 mean over positions of x + v_1) + v_2, (B, rank)

Weights and fields do not depend on the image, so they are cached for deployment: an image costs ``rank`` multiply-adds
per output more than TVConv.

Deviations from the paper: the fields are this project's own. Their generator is built and initialised like
    TVConv's. V_2 starts small, so that training starts close to TVConv.
"""

import copy

import torch
from torch import Tensor, nn

from facerec.checks import check_counts
from facerec.operators.base import SpatialOperator
from facerec.operators.common.generated import Generated
from facerec.operators.common.position_dependent_base import PositionDependentConv
from facerec.operators.common.weight_generator import count_generator_macs, reset_generator
from facerec.operators.tvconv import TVConv


class TVConvDynamic(SpatialOperator):
    """TVConv plus bias fields that are mixed per image.

    The other arguments are those of `TVConv`; the generator's also apply to the field generator.

    Args:
        rank: the number of fields.
        coefficient_channels: hidden channels between an image's mean and its ``rank`` coefficients.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        out_size: tuple[int, int] = (96, 96),
        *,
        rank: int = 2,
        coefficient_channels: int = 16,
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
        check_counts(rank=rank, coefficient_channels=coefficient_channels)
        self.rank = rank
        self.tvconv = TVConv(
            channels,
            stride,
            out_size,
            kernel_size=kernel_size,
            bias=bias,
            affinity_channels=affinity_channels,
            map_init=map_init,
            map_weight_decay=map_weight_decay,
            generator_channels=generator_channels,
            generator_layers=generator_layers,
            generator_kernel_size=generator_kernel_size,
            generator_norm=generator_norm,
            generator_affine=generator_affine,
            generator_padding=generator_padding,
            generator_stride=generator_stride,
        )
        self.field_generator = self.tvconv.make_generator(rank * channels)
        self.coefficients = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, coefficient_channels),
            nn.ReLU(inplace=True),
            nn.Linear(coefficient_channels, rank),
        )
        self._fields = Generated()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as `TVConv`; V_2 with standard deviation 0.01, v_2 = 0."""
        self.tvconv.reset_parameters()
        reset_generator(self.field_generator)
        for module in self.coefficients:
            if isinstance(module, nn.Linear):
                module.reset_parameters()
        self._reset_last_coefficients(std=0.01)

    def _reset_last_coefficients(self, std: float) -> None:
        last = self.coefficients[-1]
        assert isinstance(last, nn.Linear)
        nn.init.normal_(last.weight, std=std)
        nn.init.zeros_(last.bias)

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        """Start as `TVConv.start_from` does, with V_2 = 0, so that all coefficients are 0.

        Of the added parameters, only V_2 and v_2 get a gradient in the first step.
        """
        self.tvconv.start_from(weight)
        self._reset_last_coefficients(std=0)
        return True

    def fields(self) -> Tensor:
        """Generate F, ``(rank, H, W, C)``."""
        (generated,) = self.field_generator.by_group(self.tvconv.affinity_maps)
        return generated.unflatten(2, (self.rank, -1)).permute(2, 0, 1, 3).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        return self.tvconv(x) + _mix(self.coefficients(x), self._fields.get(self, self.fields))

    def train(self, mode: bool = True) -> "TVConvDynamic":
        """Switch between training and evaluation, and drop the cached fields."""
        self._fields.forget()
        return super().train(mode)

    def count_macs_once(self) -> int:
        height, width = self.tvconv.affinity_maps.shape[2:]
        return count_generator_macs(self.field_generator, (height, width))

    @torch.no_grad()
    def inference_form(self) -> "DeployedTVConvDynamic":
        """Return the operator with generated weights and fields, without maps and generators."""
        return DeployedTVConvDynamic(
            self.tvconv.inference_form(), copy.deepcopy(self.coefficients), BiasFields(self.fields())
        )


class BiasFields(SpatialOperator):
    """Mixes fixed fields per image: coefficients ``(B, rank)`` to ``(B, C, H, W)``.

    Args:
        fields: ``(rank, H, W, C)``, stored as ``(rank, H * W, C)`` for the reason given in `PositionDependentConv`.
    """

    fields: Tensor

    def __init__(self, fields: Tensor) -> None:
        super().__init__()
        self.out_size = tuple(fields.shape[1:3])
        self.register_buffer("fields", fields.flatten(1, 2))

    def forward(self, coefficients: Tensor) -> Tensor:
        return _mix(coefficients, self.fields.unflatten(1, self.out_size))

    def count_macs(self, coefficients: Tensor, out: Tensor) -> int:
        """Count one per field and output."""
        return len(self.fields) * out.numel()


class DeployedTVConvDynamic(SpatialOperator):
    """The inference form of `TVConvDynamic`."""

    def __init__(self, conv: PositionDependentConv, coefficients: nn.Module, fields: BiasFields) -> None:
        super().__init__()
        self.conv, self.coefficients, self.fields = conv, coefficients, fields

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.fields(self.coefficients(x))


def _mix(coefficients: Tensor, fields: Tensor) -> Tensor:
    """Combine ``(B, rank)`` and ``(rank, H, W, C)`` to ``(B, C, H, W)`` in channels_last memory."""
    mixed = coefficients @ fields.flatten(1)
    return mixed.unflatten(1, fields.shape[1:]).permute(0, 3, 1, 2)
