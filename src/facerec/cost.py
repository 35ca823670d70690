"""Parameters of a network and its multiply-adds per image."""

from collections.abc import Container, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from facerec.deploy import reparameterize
from facerec.operators.base import SpatialOperator
from facerec.operators.common.position_dependent_base import PositionDependentConv

_NORMALISATIONS = nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm | nn.InstanceNorm2d
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Hardswish, nn.PReLU)


@dataclass(frozen=True)
class Cost:
    """Parameters and multiply-adds of a network, the latter per image.

    Attributes:
        macs_paper: multiply-adds by the convention that reproduces the MACs column of arXiv 2203.10489 to the last
            printed digit: `macs_core` plus biases, two per normalised element, one per activated element and one per
            element that a pooling layer reads.
        macs_core: multiply-adds of convolutions, linear layers and operators, without biases, normalisation, activation
            and pooling.
        params: learned parameters in training.
        params_deployed: learned parameters that remain after reparameterisation.
        weight_map_elements: cached elements that the reparameterised network reads in addition to its parameters, 0 for
            a convolution.
        macs_once: multiply-adds that generate the cached elements: once per step in training, once and for all in
            deployment.
    """

    macs_paper: int
    macs_core: int
    params: int
    params_deployed: int
    weight_map_elements: int
    macs_once: int


def measure_cost(network: nn.Module, image_size: tuple[int, int]) -> Cost:
    """Count the cost in a forward pass of one image ``(1, 3, H, W)``; the network itself is not modified."""
    deployed = reparameterize(network).cpu()
    core, extra = _count_macs(deployed, torch.zeros(1, 3, *image_size))
    return Cost(
        core + extra,
        core,
        _count_parameters(network),
        _count_parameters(deployed),
        _count_cached(network, deployed),
        _count_macs_once(network),
    )


def _count_cached(network: nn.Module, deployed: nn.Module) -> int:
    """Count the elements of the buffers that exist only after reparameterisation."""
    before = dict(network.named_buffers())
    return sum(buffer.numel() for name, buffer in deployed.named_buffers() if name not in before)


def _count_macs_once(network: nn.Module) -> int:
    return sum(module.count_macs_once() for module in network.modules() if isinstance(module, SpatialOperator))


def _count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@torch.no_grad()
def _count_macs(network: nn.Module, image: Tensor) -> tuple[int, int]:
    counted: dict[nn.Module, tuple[int, int]] = {}

    def count(module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        own = _core_macs(module, inputs[0], out)
        if own is not None:
            core, extra = counted.get(module, (0, 0))
            counted[module] = core + own, extra + _extra_macs(module, inputs[0], out)

    hooks = [module.register_forward_hook(count) for module in network.modules() if _may_count(module)]
    network(image)
    for hook in hooks:
        hook.remove()
    outermost = set(_outermost(network, counted))
    return sum(counted[module][0] for module in outermost), sum(counted[module][1] for module in outermost)


def _may_count(module: nn.Module) -> bool:
    return isinstance(module, SpatialOperator | _NORMALISATIONS) or not list(module.children())


def _outermost(module: nn.Module, counted: Container[nn.Module]) -> Iterator[nn.Module]:
    """Yield the counted modules that no operator has counted with itself.

    A normalisation may contain an activation.
    """
    if module in counted:
        yield module
    if not (module in counted and isinstance(module, SpatialOperator)):
        for child in module.children():
            yield from _outermost(child, counted)


def _core_macs(module: nn.Module, x: Tensor, out: Tensor) -> int | None:
    own = module.count_macs(x, out) if isinstance(module, SpatialOperator) else None
    if own is not None:
        return own
    if isinstance(module, nn.Conv2d):
        return out.numel() * module.weight[0].numel()
    if isinstance(module, nn.Linear):
        return out.numel() * module.in_features
    return None if isinstance(module, SpatialOperator) else 0


def _extra_macs(module: nn.Module, x: Tensor, out: Tensor) -> int:
    match module:
        case nn.Conv2d() | nn.Linear() | PositionDependentConv():
            return 0 if module.bias is None else out.numel()
        case nn.AvgPool2d() | nn.MaxPool2d():
            return x.numel()
    if isinstance(module, _NORMALISATIONS):
        return 2 * x.numel()
    return out.numel() if isinstance(module, _ACTIVATIONS) else 0
