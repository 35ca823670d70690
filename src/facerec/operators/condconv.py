"""CondConv: convolution weights mixed per image.

Yang, Bender, Le, Ngiam, "CondConv: Conditionally Parameterized Convolutions for Efficient Inference", NeurIPS 2019,
arXiv 1904.04971, section 3 and equation 3.

    r[b] = sigmoid(R @ mean over positions of x[b]), (E,), not normalised;
    out[b] = conv(x[b], sum over e of r[b, e] * weight[e])

The experts are mixed once per image, at a cost that does not grow with the map.

Deviations from the paper: the default replaces the depthwise convolution alone and routes by that convolution's own
    input, so that it is interchangeable with the other operators. ``where="all"`` is the paper's form: the three
    convolutions of a block share one routing, computed from the block's input. It is used in every stage as in the
    TVConv paper (paper: in the last blocks and the classifier), with 4 experts as in the published code (paper: 8).
    Each expert is initialised like a convolution of the backbone.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from facerec.checks import check_choice, check_counts
from facerec.kernels.per_image import depthwise_per_image, mix, pointwise_per_image
from facerec.operators.base import Operator, OperatorFactory, Size, SpatialOperator
from facerec.operators.common.fused_sequence import apply_layers


def condconv(*, kernel_size: int = 3, experts: int = 4, where: str = "dw") -> Operator:
    """Return CondConv as an operator for backbones.

    Args:
        kernel_size: k of the depthwise convolution.
        experts: E, the number of weights that are mixed.
        where: "dw", the depthwise convolution, or "all", the three convolutions of a block.
    """
    check_choice("where", where, ("dw", "all"))
    if where == "dw":
        return partial(CondConv, kernel_size=kernel_size, experts=experts)
    check_counts(kernel_size=kernel_size, experts=experts)
    return OperatorFactory(
        make=partial(_routed_depthwise, kernel_size=kernel_size, experts=experts),
        make_pointwise=partial(_routed_pointwise, experts=experts),
        wrap_block=partial(RoutedBlock, experts=experts),
    )


class Routing(nn.Linear):
    """Computes the gates of the experts per image: ``(B, C, H, W)`` to ``(B, E)``, between 0 and 1."""

    def reset_parameters(self) -> None:
        """Draw uniformly within 1 / sqrt(C + E), as in the published code, with biases of 0: gates start around 1/2."""
        bound = 1 / math.sqrt(self.in_features + self.out_features)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.mean((2, 3))).to(self.weight.dtype).sigmoid()


class RoutedConv(SpatialOperator):
    """A convolution without bias whose weights are E experts, mixed by gates that the caller passes.

    Args:
        experts: E.
        filter_shape: (C_out, C_in / groups, k, k) of one expert. It is stored as one row, since tensors with five
            dimensions have no channels_last format.
        convolve: applies the weights ``(B, *filter_shape)`` to ``(B, C_in, H_in, W_in)``, image by image.
    """

    def __init__(
        self, experts: int, filter_shape: tuple[int, int, int, int], convolve: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.filter_shape, self.convolve = filter_shape, convolve
        self.experts = nn.Parameter(torch.empty(experts, math.prod(filter_shape)))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw each expert from Kaiming normal (fan out)."""
        for expert in self.experts:
            nn.init.kaiming_normal_(expert.view(self.filter_shape), mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor, gates: Tensor | None = None) -> Tensor:
        """Convolve ``(B, C_in, H_in, W_in)`` with the experts mixed by ``gates``, ``(B, E)``."""
        if gates is None:
            raise ValueError(
                'a convolution of condconv with where="all" got no gates: put the layers of its block into '
                'operator.block(in_channels, layers), which computes them, or use where="dw"'
            )
        return self.convolve(x, mix(gates, self.experts).unflatten(1, self.filter_shape))

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Count the convolution, and one per weight of the experts for mixing them."""
        return math.prod(self.filter_shape[1:]) * out.numel() + self.experts.numel()


def _routed_depthwise(
    channels: int, stride: int = 1, out_size: Size | None = None, *, kernel_size: int, experts: int
) -> RoutedConv:
    check_counts(channels=channels)
    convolve = partial(depthwise_per_image, stride=stride)
    return RoutedConv(experts, (channels, 1, kernel_size, kernel_size), convolve)


def _routed_pointwise(in_channels: int, out_channels: int, experts: int) -> RoutedConv:
    return RoutedConv(experts, (out_channels, in_channels, 1, 1), pointwise_per_image)


class CondConv(SpatialOperator):
    """A depthwise convolution routed by its own input, for any map size.

    Args:
        experts: E, the number of weights that are mixed.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        out_size: tuple[int, int] | None = None,
        *,
        kernel_size: int = 3,
        experts: int = 4,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, kernel_size=kernel_size, experts=experts)
        self.routing = Routing(channels, experts)
        self.conv = _routed_depthwise(channels, stride, kernel_size=kernel_size, experts=experts)

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        """Set the routing to 0, so that every gate is 1/2, and make random experts sum to 2 ``weight``.

        Equal experts would get equal gradients and stay equal.
        """
        self.reset_parameters()
        nn.init.zeros_(self.routing.weight)
        experts = self.conv.experts
        experts += 2 / len(experts) * weight.reshape(experts.shape[1:]) - experts.mean(dim=0)
        return True

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x, self.routing(x))


class RoutedBlock(nn.Module):
    """Layers in sequence; each `RoutedConv` gets the gates computed from the block's input."""

    def __init__(self, in_channels: int, layers: nn.Sequential, experts: int) -> None:
        super().__init__()
        self.routing = Routing(in_channels, experts)
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        gates = self.routing(x)

        def call(layer: nn.Module, x: Tensor) -> Tensor:
            return layer(x, gates) if isinstance(layer, RoutedConv) else layer(x)

        return apply_layers(self.layers, x, call=call)
