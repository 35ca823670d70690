"""DYConv: convolution weights mixed per image by attention over experts.

Chen, Dai, Liu, Chen, Yuan, Liu, "Dynamic Convolution: Attention over Convolution Kernels", CVPR 2020, arXiv 1912.03458,
section 3 and equation 5.

    pi[b] = softmax(F2 @ relu(F1 @ mean over positions of x[b]) / temperature), (K,);
    out[b] = conv(x[b], sum over k of pi[b, k] * weight[k])

A high initial temperature keeps the attention near uniform, so that all experts learn; it falls to 1 early in training
(section 3.3). Each convolution has its own attention.

Deviations from the paper: the hidden width of the attention is C // reduction + 1 without bias, and the attention
    is initialised Kaiming normal, as in the widely used port kaijieshi7/Dynamic-convolution-Pytorch. The convolutions
    have no bias, since a normalisation follows. `DYConvPointwise` replaces both 1x1 convolutions of a block, our
    reading of "pointwise" in the TVConv paper.
"""

import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.checks import check_counts
from facerec.kernels.per_image import depthwise_per_image, mix, pointwise_per_image
from facerec.operators.base import OperatorFactory, SpatialOperator
from facerec.operators.depthwise import Depthwise


class DynamicConv(SpatialOperator):
    """Base of the depthwise and the 1x1 convolution with attention over experts; the options are those of `DYConv`.

    Args:
        in_channels: channels of the input that the attention reads.
        filter_shape: (C_out, C_in / groups, k, k) of one expert. It is stored as one row, since tensors with five
            dimensions have no channels_last format.

    Attributes:
        temperature: of the softmax, a saved buffer.
    """

    temperature: Tensor

    def __init__(
        self,
        in_channels: int,
        filter_shape: tuple[int, int, int, int],
        *,
        experts: int,
        reduction: int,
        initial_temperature: float,
        annealing_share: float,
    ) -> None:
        super().__init__()
        check_counts(experts=experts, reduction=reduction)
        if not 1 <= initial_temperature < math.inf:
            raise ValueError(
                f"initial_temperature must be finite and at least 1, the value it falls to, got {initial_temperature}"
            )
        if not 0 < annealing_share <= 1:
            raise ValueError(
                f"annealing_share must be above 0 and at most 1, a fraction of the training, got {annealing_share}"
            )
        self.filter_shape = filter_shape
        self.initial_temperature, self.annealing_share = initial_temperature, annealing_share
        hidden = in_channels // reduction + 1
        self.hidden = nn.Linear(in_channels, hidden, bias=False)
        self.logits = nn.Linear(hidden, experts)
        self.experts = nn.Parameter(torch.empty(experts, math.prod(filter_shape)))
        self.register_buffer("temperature", torch.empty(()))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw each expert and the attention from Kaiming normal (fan out), and set the initial temperature."""
        filters = [expert.view(self.filter_shape) for expert in self.experts]
        for weight in (self.hidden.weight, self.logits.weight, *filters):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.logits.bias)
        self.on_step(0.0)

    @torch.no_grad()
    def on_step(self, progress: float) -> None:
        """Set the temperature, which falls linearly to 1 and stays there.

        A training loop that does not call this keeps the attention near uniform.
        """
        left = max(0.0, 1 - progress / self.annealing_share)
        self.temperature.fill_(1 + left * (self.initial_temperature - 1))

    def attention(self, x: Tensor) -> Tensor:
        """Return the weights of the experts, ``(B, K)``, which sum to 1 per image."""
        logits = self.logits(F.relu(self.hidden(x.mean((2, 3))))).to(self.experts.dtype)
        return (logits / self.temperature).softmax(dim=1)

    def weight(self, x: Tensor) -> Tensor:
        """Return the filters per image, ``(B, C_out, C_in / groups, k, k)``."""
        return mix(self.attention(x), self.experts).unflatten(1, self.filter_shape)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Count the convolution, the two layers of the attention, and one per weight of the experts for mixing them."""
        linear = self.hidden.weight.numel() + self.logits.weight.numel()
        return math.prod(self.filter_shape[1:]) * out.numel() + linear + self.experts.numel()


class DYConv(DynamicConv):
    """A depthwise convolution with attention over experts, for any map size.

    Args:
        experts: K, the number of weights that are mixed.
        reduction: divisor of the channels in the hidden layer of the attention.
        initial_temperature: of the attention's softmax, at least 1.
        annealing_share: the fraction of training during which the temperature falls to 1, above 0 and at most 1; by
            default 10 of the 38 epochs of the TVConv paper.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        out_size: tuple[int, int] | None = None,
        *,
        kernel_size: int = 3,
        experts: int = 4,
        reduction: int = 4,
        initial_temperature: float = 30.0,
        annealing_share: float = 0.26,
    ) -> None:
        check_counts(channels=channels, kernel_size=kernel_size)
        super().__init__(
            channels,
            (channels, 1, kernel_size, kernel_size),
            experts=experts,
            reduction=reduction,
            initial_temperature=initial_temperature,
            annealing_share=annealing_share,
        )
        self.stride = stride

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        """Make every expert a copy of ``weight``.

        The copies diverge because the random attention weighs their gradients differently, slowly while the temperature
        is high. The attention itself gets no gradient until they differ.
        """
        self.reset_parameters()
        self.experts.copy_(weight.reshape(1, self.experts.shape[1]).expand_as(self.experts))
        return True

    def forward(self, x: Tensor) -> Tensor:
        return depthwise_per_image(x, self.weight(x), self.stride)


class DynamicPointwise(DynamicConv):
    """A 1x1 convolution with attention over experts, ``(B, C_in, H, W)`` to ``(B, C_out, H, W)``."""

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        super().__init__(in_channels, (out_channels, in_channels, 1, 1), **options)

    def forward(self, x: Tensor) -> Tensor:
        return pointwise_per_image(x, self.weight(x))


class DYConvPointwise(OperatorFactory):
    """The operator that keeps the depthwise convolution of a block and makes its 1x1 convolutions dynamic.

    The options are those of `DYConv`; ``kernel_size`` is that of the depthwise convolution.
    """

    def __init__(
        self,
        *,
        kernel_size: int = 3,
        experts: int = 4,
        reduction: int = 4,
        initial_temperature: float = 30.0,
        annealing_share: float = 0.26,
    ) -> None:
        pointwise = partial(
            DynamicPointwise,
            experts=experts,
            reduction=reduction,
            initial_temperature=initial_temperature,
            annealing_share=annealing_share,
        )
        super().__init__(partial(Depthwise, kernel_size=kernel_size), pointwise)
