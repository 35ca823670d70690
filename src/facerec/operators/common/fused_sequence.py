"""Layers in sequence, where a BatchNorm and the activation after it are computed as one."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from facerec.kernels.norm_activation import norm_activation, runs_in_machine_code
from facerec.operators.common.recomputed import recomputed

_ACTIVATIONS = {nn.ReLU: "relu", nn.ReLU6: "relu6", nn.PReLU: "prelu", nn.Hardswish: "hardswish", nn.SiLU: "silu"}
# Calling the machine code takes longer than PyTorch's two layers take for a smaller map, with and without gradients.
LEAST_ELEMENTS = 1 << 20
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def activation_name(module: nn.Module) -> str | None:
    """Return the name of an activation for `norm_activation`, or None if it has none or the module has hooks."""
    names = [name for kind, name in _ACTIVATIONS.items() if isinstance(module, kind)]
    return names[0] if names and not has_hooks(module) else None


class FusedSequence(nn.Sequential):
    """An `nn.Sequential` with the same modules and results, up to rounding.

    A norm or an activation with a hook is called by itself, and so are all for a map that is too small (`pays`).

    Attributes:
        recomputes: whether to compute its blocks, the modules that have parts, again in the backward pass.
    """

    recomputes: bool = False

    def forward(self, input: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Return the output of the last layer, plus ``shortcut`` if there is one."""
        again = self.recomputes and torch.is_grad_enabled() and not torch.compiler.is_compiling()
        return apply_layers(self, input, shortcut, _block_recomputed if again else _called)

    def _get_name(self) -> str:
        return nn.Sequential.__name__


def _called(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x)


def _block_recomputed(layer: nn.Module, x: Tensor) -> Tensor:
    return recomputed(layer, x) if _is_block(layer) else layer(x)


def _is_block(module: nn.Module) -> bool:
    return not isinstance(module, nn.Sequential) and next(module.children(), None) is not None


def recompute_blocks(network: nn.Module, recompute: bool = True) -> int:
    """Let every block of ``network`` be computed again in the backward pass, or not any more; return their number.

    The blocks are the modules with parts that follow one another in a `FusedSequence`; those inside another block are
    part of it.
    """
    blocks = 0
    for sequence in _outermost_sequences(network):
        sequence.recomputes = recompute
        blocks += sum(map(_is_block, sequence))
    return blocks


def _outermost_sequences(module: nn.Module) -> Iterator[FusedSequence]:
    """Yield the sequences inside ``module`` that have blocks, without those inside blocks."""
    is_fused = isinstance(module, FusedSequence)
    if is_fused and any(map(_is_block, module)):
        yield module
    for child in module.children():
        if not (is_fused and _is_block(child)):
            yield from _outermost_sequences(child)


def is_sequence(module: nn.Module) -> TypeGuard[nn.Sequential]:
    """Whether ``module`` applies its children in their order, and does nothing else."""
    return type(module) in (nn.Sequential, FusedSequence)


def with_shortcut(layers: nn.Module, x: Tensor, shortcut: Tensor) -> Tensor:
    """Return ``layers(x) + shortcut``."""
    if isinstance(layers, FusedSequence) and not has_hooks(layers):
        return layers(x, shortcut)
    return layers(x) + shortcut


def apply_layers(
    layers: Iterable[nn.Module],
    x: Tensor,
    shortcut: Tensor | None = None,
    call: Callable[[nn.Module, Tensor], Tensor] = _called,
) -> Tensor:
    """Apply ``layers`` in their order, and add ``shortcut`` to the result if there is one.

    Args:
        call: applies a layer that is not part of a fused pair.
    """
    remaining = list(layers)[::-1]
    while remaining:
        layer = remaining.pop()
        if not pays(x) or not _can_be_fused(layer):
            x = call(layer, x)
            continue
        assert isinstance(layer, nn.BatchNorm2d)
        activation = activation_name(remaining[-1]) if remaining else None
        follower = remaining.pop() if activation else None
        added = None if remaining else shortcut
        x = normalised(layer, x, activation or "none", follower, added)
        if added is not None:
            return x
    return x if shortcut is None else x + shortcut


def pays(x: Tensor) -> bool:
    """Whether a norm of ``x`` and its activation are faster as one."""
    # In this order: an exported graph must not depend on the size of its example.
    return runs_in_machine_code(x) and x.numel() >= LEAST_ELEMENTS


def normalised(
    norm: nn.BatchNorm2d, x: Tensor, activation: str, follower: nn.Module | None, shortcut: Tensor | None = None
) -> Tensor:
    """Return what ``norm`` and the activation ``follower`` give for ``(B, C, H, W)``, plus ``shortcut``."""
    slope = None
    if isinstance(follower, nn.PReLU):
        slope = follower.weight.expand(norm.num_features)
    if norm.training and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    return norm_activation(
        x,
        norm.weight,
        norm.bias,
        norm.running_mean,
        norm.running_var,
        training=norm.training,
        momentum=norm.momentum or 0.0,
        eps=norm.eps,
        activation=activation,
        slope=slope,
        shortcut=shortcut,
    )


def _can_be_fused(module: nn.Module) -> bool:
    """Whether it is an ordinary BatchNorm with parameters and running statistics, without hooks."""
    return type(module) is nn.BatchNorm2d and has_running_statistics(module) and not has_hooks(module)


def has_running_statistics(norm: nn.BatchNorm2d) -> bool:
    """Whether it has parameters, running statistics and a momentum, which is None for a cumulative average."""
    return norm.affine and norm.track_running_stats and norm.momentum is not None


def has_hooks(module: nn.Module) -> bool:
    return any(getattr(module, name) for name in _HOOKS) or any(getattr(hooks, f"_global{name}") for name in _HOOKS)


def fuse_sequences(module: nn.Module) -> nn.Module:
    """Turn every `nn.Sequential` inside ``module`` into a `FusedSequence` of the same modules; returns ``module``."""
    for name, child in module.named_children():
        fused = fuse_sequences(child)
        if type(fused) is nn.Sequential:
            sequence = FusedSequence(OrderedDict(fused.named_children()))
            sequence.training, fused = fused.training, sequence
        setattr(module, name, fused)
    return module
