"""CondConv: convolution weights mixed for each image.

Yang, Bender, Le, Ngiam, "CondConv: Conditionally Parameterized Convolutions for Efficient Inference", NeurIPS 2019,
arXiv 1904.04971, section 3 and equation 3.

    r[b] = sigmoid(R @ mean over positions of x[b]), (E,), not normalised;
    out[b] = conv(x[b], sum over e of r[b, e] * weight[e])

The experts are mixed once an image, at a cost that does not grow with the map; the convolution costs what it costs.

Deviations from the paper: the default replaces the depthwise convolution alone and routes by that convolution's own
    input, so that it is exchanged like the other operators; ``where="all"`` is the paper's form, in which the three
    convolutions of a block share one routing by the block's input. It stands in every stage as in the TVConv paper
    (the paper: in the last blocks, and in the classifier), with 4 experts as in the published code (the paper: 8). Each
    expert starts as a convolution of the backbone does.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from facerec.checks import check_choice, check_counts
from facerec.kernels.per_image import depthwise_per_image, mix, pointwise_per_image
from facerec.operators.base import Operator, OperatorFactory, Size, SpatialOperator


def condconv(*, kernel_size: int = 3, experts: int = 4, where: str = "dw") -> Operator:
    """The operator for a backbone.

    Args:
        kernel_size: k of the depthwise convolution, odd; the zero padding is ``k // 2``.
        experts: E, how many weights are mixed.
        where: "dw", the depthwise convolution, or "all", the three convolutions of a block.

    Raises:
        ValueError: an argument outside the values above; the message names them.
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
    """``(B, C, H, W)`` to the gates ``(B, E)``, each between 0 and 1, of an image's experts."""

    def reset_parameters(self) -> None:
        """Uniform within 1 / sqrt(C + E), as in the published code, and no offset: the gates start around 1/2."""
        bound = 1 / math.sqrt(self.in_features + self.out_features)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.mean((2, 3))).to(self.weight.dtype).sigmoid()


class RoutedConv(SpatialOperator):
    """A convolution whose weights are E experts, mixed by gates from elsewhere. Without bias.

    Args:
        experts: E.
        filter_shape: (C_out, C_in / groups, k, k) of one expert, which is kept as one row: five dimensions have no
            channels_last format.
        convolve: each image of ``(B, C_in, H_in, W_in)`` with its own of the weights ``(B, *filter_shape)``.
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
        """Kaiming normal over the outgoing connections for each expert by itself."""
        for expert in self.experts:
            nn.init.kaiming_normal_(expert.view(self.filter_shape), mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor, gates: Tensor | None = None) -> Tensor:
        """``(B, C_in, H_in, W_in)`` and the gates ``(B, E)`` to ``(B, C_out, H, W)``."""
        if gates is None:
            raise ValueError(
                'a convolution of condconv with where="all" got no gates: put the layers of its block into '
                'operator.block(in_channels, layers), which computes them, or use where="dw"'
            )
        return self.convolve(x, mix(gates, self.experts).unflatten(1, self.filter_shape))

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """The convolution, and one a number of all experts for mixing them."""
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
    """``(B, C, H_in, W_in)`` to ``(B, C, H, W)``: a depthwise convolution routed by its own input.

    Args:
        channels: C.
        stride: of the convolution.
        out_size: (H, W), accepted so that all operators are called alike; it works at any size.
        kernel_size: k, odd; the zero padding is ``k // 2``.
        experts: E, how many weights are mixed.

    Raises:
        ValueError: an argument outside the values above; the message names them.
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

    def reset_parameters(self) -> None:
        self.routing.reset_parameters()
        self.conv.reset_parameters()

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        """Start as the depthwise convolution with the filters ``weight``, ``(C, 1, k, k)``.

        The routing starts at zero, so that every gate is 1/2 for every image, unlike in a fresh module. The experts
        are fresh up to a shift that makes their sum twice the filters; were they equal, equal gradients would keep
        them so for ever.
        """
        self.reset_parameters()
        nn.init.zeros_(self.routing.weight)
        experts = self.conv.experts
        experts += 2 / len(experts) * weight.reshape(experts.shape[1:]) - experts.mean(dim=0)
        return True

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x, self.routing(x))


class RoutedBlock(nn.Module):
    """Layers in order; each `RoutedConv` among them gets the gates that are computed once from the first one's
    input, ``(B, in_channels, H_in, W_in)``."""

    def __init__(self, in_channels: int, layers: nn.Sequential, experts: int) -> None:
        super().__init__()
        self.routing = Routing(in_channels, experts)
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        gates = self.routing(x)
        for layer in self.layers:
            x = layer(x, gates) if isinstance(layer, RoutedConv) else layer(x)
        return x
