"""The activations of the backbones, by name."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.checks import check_choice

# Called with the number of channels, which PReLU alone needs.
Activation = Callable[[int], nn.Module]


class ReLU6(nn.ReLU6):
    """ReLU6 in place unless a gradient is recorded, for which in-place operation would copy the input."""

    def forward(self, input: Tensor) -> Tensor:
        return F.relu6(input, inplace=not (torch.is_grad_enabled() and input.requires_grad))


_ACTIVATIONS: dict[str, Activation] = {
    "relu": lambda channels: nn.ReLU(inplace=True),
    "relu6": lambda channels: ReLU6(),
    "prelu": nn.PReLU,
    "hardswish": lambda channels: nn.Hardswish(),
    "silu": lambda channels: nn.SiLU(),
}


def activation_of(name: str) -> Activation:
    """Return what creates the activation ``name`` for a number of channels; PReLU learns one slope per channel.

    ReLU6: arXiv 1801.04381. PReLU: arXiv 1502.01852, equation 1, slopes from 0.25. Hard swish: arXiv 1905.02244,
    section 5.2. SiLU: arXiv 1702.03118. Raises `ValueError` for another name.
    """
    check_choice("activation", name, tuple(_ACTIVATIONS))
    return _ACTIVATIONS[name]
