"""A tensor that is made of a module's parameters alone, the same for all images: made once where it can be."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Generated:
    """What ``make`` gives for a module, in training anew each step and in evaluation when the module has changed.

    Where the gradients of several batches are added up for one step, `expect` lets all of them share one tensor: its
    gradients are added up first, and go through what made it once. A copy of this object starts with nothing kept.
    """

    def __init__(self) -> None:
        self._more_follow = False
        self._made: Tensor | None = None
        self._shared: Tensor | None = None
        self.forget()

    def __reduce__(self) -> tuple[type["Generated"], tuple[()]]:
        return Generated, ()

    def forget(self) -> None:
        """What was kept for evaluation; for changes that leave no trace, such as those of ``parameter.data``."""
        self._kept: Tensor | None = None
        self._made_of: list[Any] = []

    def expect(self, first: bool, more_follow: bool) -> None:
        """Before a batch of a step: whether it is the first, and whether more follow before the parameters change."""
        self._more_follow = more_follow
        if first:  # also where the last step was broken off
            self._made = self._shared = None

    def get(self, module: nn.Module, make: Callable[[], Tensor]) -> Tensor:
        """``make()``, a function of the parameters of ``module``, or the same from an earlier call."""
        if torch.compiler.is_compiling() or (module.training and not torch.is_grad_enabled()):
            return make()
        if torch.is_grad_enabled():
            self.forget()
            return self._for_training(make) if module.training else make()
        return self._for_evaluation(module, make)

    def _for_training(self, make: Callable[[], Tensor]) -> Tensor:
        if self._shared is None and not self._more_follow:
            return make()
        if self._made is None or self._shared is None:
            made = make()
            if not made.requires_grad:
                return made
            # In float32: sums of many gradients lose too much in a shorter type.
            shared = made.detach().to(torch.promote_types(made.dtype, torch.float32)).requires_grad_()
            self._made, self._shared = made, shared
        return self._shared if self._more_follow else self._last(self._made, self._shared)

    def _last(self, made: Tensor, shared: Tensor) -> Tensor:
        self._made = self._shared = None

        def with_others(gradient: Tensor) -> Tensor:
            return gradient if shared.grad is None else (gradient + shared.grad).to(gradient.dtype)

        made.register_hook(with_others)
        return made

    def _for_evaluation(self, module: nn.Module, make: Callable[[], Tensor]) -> Tensor:
        made_of, kept = _state(module), self._kept
        if kept is None or not _same(made_of, self._made_of):
            kept = make()
            self._kept, self._made_of = kept, made_of
        return kept


def _state(module: nn.Module) -> list[Any]:
    """What differs after a change in place, loading included, a cast or a move, and under another autocast."""
    tensors = [*module.parameters(), *module.buffers()]
    versions = [(t, 0 if t.is_inference() else t._version, t.data_ptr()) for t in tensors]
    device = tensors[0].device.type
    return [*versions, (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device), None)]


def _same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(a is b and v == w for (a, *v), (b, *w) in zip(one, other, strict=True))
