"""Cache of a tensor that is derived from a module's parameters alone and is the same for all images."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Generated:
    """A derived tensor, computed again at each training step, and in evaluation only if the module has changed.

    A copy of this object starts empty.
    """

    def __init__(self) -> None:
        self.forget()

    def __reduce__(self) -> tuple[type["Generated"], tuple[()]]:
        return Generated, ()

    def forget(self) -> None:
        """Drop the cached tensor, as is needed after untracked changes such as those through ``parameter.data``."""
        self._cached: Tensor | None = None
        self._state: list[Any] = []

    def get(self, module: nn.Module, make: Callable[[], Tensor]) -> Tensor:
        """Return ``make()``, a function of the parameters of ``module``, or the cached result of an earlier call."""
        if torch.compiler.is_compiling() or (module.training and not torch.is_grad_enabled()):
            return make()
        if torch.is_grad_enabled():
            self.forget()
            return make()
        state, cached = _state(module), self._cached
        if cached is None or not _same(state, self._state):
            cached = make()
            self._cached, self._state = cached, state
        return cached


def _state(module: nn.Module) -> list[Any]:
    """Return what differs after a change in place (loading included), a cast, a move, or under another autocast."""
    tensors = [*module.parameters(), *module.buffers()]
    versions = [(t, 0 if t.is_inference() else t._version, t.data_ptr()) for t in tensors]
    device = tensors[0].device.type
    return [*versions, (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device), None)]


def _same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(a is b and v == w for (a, *v), (b, *w) in zip(one, other, strict=True))
