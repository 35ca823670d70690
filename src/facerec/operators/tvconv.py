"""TVConv: translation-variant convolution.

Chen, He, Zhuo, Ma, Ha, Chan, "TVConv: Efficient Translation Variant Convolution for Layout-aware Visual Processing",
CVPR 2022, arXiv 2203.10489.

    A: learned affinity maps (c_A, H, W);  W = generator(A), (k * k * C, H, W);  out[b, c, p] = sum over d of W[c, d, p]
        * x_padded[b, c, stride * p + d]

The weights depend on the position and not on the image, so they are generated once for a batch and need no generator at
all in deployment. The generator is c_A -> c_I, then ``generator_layers`` times c_I -> c_I, each a convolution, a
normalisation and a ReLU, then a convolution to k * k * C (section 3.2 and figure 4; 64 channels, 3 layers and 4 maps
are the optimum of table 3).

Deviations from the published code: the input is not unfolded; the inference form is right at stride 2 and keeps the
    bias.
"""

import torch
from torch import Tensor, nn

from facerec.kernels.position_dependent import position_dependent_conv
from facerec.operators.arguments import check_counts
from facerec.operators.position_dependent import PositionDependentConv
from facerec.operators.weight_generator import weight_generator


class TVConv(nn.Module):
    """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``, drop-in for a depthwise convolution at the same multiply-adds.

    Args:
        channels: C.
        stride: of the output positions over the input.
        out_size: (H, W) of the output, to which the affinity maps are bound.
        kernel_size: k, odd; the zero padding is ``k // 2``.
        bias: generate an offset for each position and channel as well, by a second generator.
        affinity_channels: c_A, the number of affinity maps.
        map_init: the constant that the maps start from. Its scale is removed by the first normalisation; its sign and
            zero are not.
        generator_channels: c_I.
        generator_layers: hidden layers between the first and the last convolution.
        generator_kernel_size: odd.
        generator_norm: "layer" (over channels and positions), "instance", "batch" or "none".
        generator_affine: scale and shift of the normalisation "full" (for each channel and position, as published;
            layer norm only), "channel" or "none".
        generator_padding: "zeros" (as published) or "replicate", with which constant maps give the same weights
            everywhere.

    Raises:
        ValueError: an argument outside the values above; the message names them.
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
        map_init: float = 1.0,
        generator_channels: int = 64,
        generator_layers: int = 3,
        generator_kernel_size: int = 3,
        generator_norm: str = "layer",
        generator_affine: str = "full",
        generator_padding: str = "zeros",
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
        if map_init == 0:
            raise ValueError(
                "map_init must not be 0: affinity maps of zeros give zero weights and zero gradients for ever; use 1.0"
            )
        self.channels, self.stride, self.kernel_size, self.map_init = channels, stride, kernel_size, map_init
        self.affinity_maps = nn.Parameter(torch.empty(1, affinity_channels, *out_size))

        def generator(out_channels: int) -> nn.Sequential:
            return weight_generator(
                affinity_channels,
                out_channels,
                (out_size[0], out_size[1]),
                hidden_channels=generator_channels,
                hidden_layers=generator_layers,
                kernel_size=generator_kernel_size,
                norm=generator_norm,
                affine=generator_affine,
                padding=generator_padding,
            )

        self.weight_generator = generator(kernel_size**2 * channels)
        self.bias_generator = generator(channels) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Constant maps; Kaiming normal over the outgoing connections for the generator, as in the paper's
        MobileNetV2."""
        nn.init.constant_(self.affinity_maps, self.map_init)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def weight(self) -> Tensor:
        """The weights of every position, ``(k * k, H, W, C)``. The generator's channels are ordered (channel, tap),
        taps row by row."""
        taps, (height, width) = self.kernel_size**2, self.affinity_maps.shape[2:]
        generated = self.weight_generator(self.affinity_maps).view(self.channels, taps, height, width)
        return generated.permute(1, 2, 3, 0).contiguous()

    def bias(self) -> Tensor | None:
        """The offsets ``(H, W, C)``, or None."""
        if self.bias_generator is None:
            return None
        return self.bias_generator(self.affinity_maps)[0].permute(1, 2, 0).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``."""
        out, bias = position_dependent_conv(x, self.weight(), self.stride), self.bias()
        return out if bias is None else out + bias.permute(2, 0, 1).to(out.dtype)

    @torch.no_grad()
    def reparameterize(self) -> PositionDependentConv:
        """The inference form: weights generated once, maps and generator gone."""
        return PositionDependentConv(self.weight(), self.bias(), self.stride)
