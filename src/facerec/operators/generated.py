"""A tensor that is made of parameters alone, the same for all images: made once where it can be made once."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Generated:
    """What ``make`` gives for a module, in training anew each step and in evaluation when a parameter has changed.

    Where the gradients of several batches are added up for one step, `expect` lets all of them share one tensor: its
    gradients are added up first, and go through what made it once. A copy of this object starts with nothing kept.
    """

    def __init__(self) -> None:
        self._more_follow = False
        self._made: Tensor | None = None
        self._shared: Tensor | None = None
        self._kept: Tensor | None = None
        self._made_of: list[tuple[nn.Parameter, int, int]] = []

    def __reduce__(self) -> tuple[type["Generated"], tuple[()]]:
        return Generated, ()

    def expect(self, more_follow: bool) -> None:
        """Whether the gradients of more batches are added before the parameters change."""
        self._more_follow = more_follow

    def get(self, module: nn.Module, make: Callable[[], Tensor]) -> Tensor:
        """``make()``, a function of the parameters of ``module``, or the same from an earlier call."""
        if torch.compiler.is_compiling():
            return make()
        if torch.is_grad_enabled():
            self._kept, self._made_of = None, []
            return self._for_training(make) if module.training else make()
        return self._for_evaluation(module, make)

    def _for_training(self, make: Callable[[], Tensor]) -> Tensor:
        if self._shared is None and not self._more_follow:
            return make()
        if self._made is None or self._shared is None:
            self._made = make()
            self._shared = self._made.detach().requires_grad_()
        return self._shared if self._more_follow else self._last(self._made, self._shared)

    def _last(self, made: Tensor, shared: Tensor) -> Tensor:
        self._made = self._shared = None
        made.register_hook(lambda gradient: gradient if shared.grad is None else gradient + shared.grad)
        return made

    def _for_evaluation(self, module: nn.Module, make: Callable[[], Tensor]) -> Tensor:
        # Every change of a parameter in place, loading included, counts its version up; a cast or a move gives it other
        # memory.
        made_of = [(parameter, parameter._version, parameter.data_ptr()) for parameter in module.parameters()]
        if self._kept is None or not _same(made_of, self._made_of):
            self._kept, self._made_of = make(), made_of
        return self._kept


def _same(one: list[tuple[nn.Parameter, int, int]], other: list[tuple[nn.Parameter, int, int]]) -> bool:
    return len(one) == len(other) and all(a is b and v == w for (a, *v), (b, *w) in zip(one, other, strict=True))
