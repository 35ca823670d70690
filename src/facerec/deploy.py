"""Reparameterisation of trained modules for inference."""

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from facerec.operators.base import SpatialOperator
from facerec.operators.common.position_dependent_base import PositionDependentConv

Network = TypeVar("Network", bound=nn.Module)


def in_format(network: Network, memory_format: torch.memory_format = torch.channels_last) -> Network:
    """Store the weights of ``network`` in ``memory_format``, in place, and return it."""
    return network.to(memory_format=memory_format)  # pyright: ignore[reportCallIssue]


def reparameterize(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` in evaluation mode, in which modules are replaced by cheaper ones for inference.

    A module provides its replacement by `SpatialOperator.inference_form`. ``model`` may itself be such a module; it is
    not modified.
    """
    return replaced(copy.deepcopy(model).eval(), lambda operator: operator.inference_form())


def position_shares(deployed: nn.Module) -> dict[str, dict[str, float]]:
    """Return how much the weights of each position-dependent convolution of a deployed network depend on the position.

    That is `PositionDependentConv.position_share` by the layer's name, of the whole map and of the middle half of its
    height and width: at the border the padding of the weight generator makes a difference that nothing learned.
    """
    layers = {name: conv for name, conv in deployed.named_modules() if isinstance(conv, PositionDependentConv)}
    return {
        name: {"whole": conv.position_share(), "middle": conv.position_share(border=0.25)}
        for name, conv in layers.items()
    }


def replaced(module: nn.Module, form: Callable[[SpatialOperator], nn.Module]) -> nn.Module:
    """Replace each operator inside ``module`` by its ``form``, in place, and return the module or its replacement.

    An operator whose form is itself is searched for operators inside it.
    """
    own = form(module) if isinstance(module, SpatialOperator) else module
    if own is not module:
        return own.eval()
    for name, child in list(module._modules.items()):
        if child is not None:
            module._modules[name] = replaced(child, form)
    return module
