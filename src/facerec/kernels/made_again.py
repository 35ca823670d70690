"""Saves for the backward pass what a map was computed from, which is saved anyway, in place of the map itself.

A convolution needs its input for its weights' gradient. Where that is the output of a BatchNorm with its activation,
it can be computed again from the norm's input in two passes over the map, and half of a network's maps are not kept.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class _Saved:
    """A tensor, and its version: how often it had been changed in place when it was saved."""

    tensor: Tensor
    version: int

    @classmethod
    def of(cls, tensor: Tensor) -> "_Saved":
        # Detached: a result that refers to the graph that saves it would never be freed.
        return cls(tensor.detach(), tensor._version)

    def get(self) -> Tensor:
        """Return the tensor; `RuntimeError` if it was changed since, as from autograd."""
        if self.tensor._version != self.version:
            raise RuntimeError(
                f"a tensor of shape {tuple(self.tensor.shape)} that a gradient needs was modified by an inplace "
                f"operation: it is at version {self.tensor._version}, expected {self.version}"
            )
        return self.tensor


@dataclass(frozen=True)
class _Recipe:
    """How to compute a map again; ``map`` is the map itself, as long as something else holds it."""

    map: weakref.ref[Tensor]
    function: Callable[..., Tensor]
    arguments: tuple[Any, ...]

    def is_for(self, tensor: Tensor) -> bool:
        """Whether ``tensor`` is the map, unchanged."""
        map = self.map()
        if map is None or map._version or map.dtype != tensor.dtype:
            return False
        return map.shape == tensor.shape and map.stride() == tensor.stride()

    def get(self) -> Tensor:
        """Compute the map."""
        return self.function(*(a.get() if isinstance(a, _Saved) else a for a in self.arguments))


# By the addresses of the maps; None outside of `making_maps_again`.
_recipes: dict[int, _Recipe] | None = None


@contextmanager
def making_maps_again() -> Iterator[None]:
    """In here, autograd saves no map that was passed to `can_be_made_again`.

    It has no effect on what is compiled or traced, nor inside other hooks of saved tensors, such as a checkpoint's.
    """
    global _recipes
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or not torch.is_grad_enabled():  # pyright: ignore
        yield
        return
    before, _recipes = _recipes, {}
    try:
        with torch.autograd.graph.saved_tensors_hooks(_pack, _unpack):
            yield
    finally:
        _recipes = before


@contextmanager
def keeping_maps() -> Iterator[None]:
    """In here, inside `making_maps_again`, maps are saved as they are, and nothing is held to compute them again."""
    global _recipes
    before, _recipes = _recipes, None
    try:
        yield
    finally:
        _recipes = before


def can_be_made_again(map: Tensor, function: Callable[..., Tensor], *arguments: Any) -> None:
    """Let ``function(*arguments)``, computed without a gradient, stand for ``map`` in what autograd saves."""
    if _recipes is not None:
        kept = tuple(_Saved.of(a) if isinstance(a, Tensor) else a for a in arguments)
        _recipes[map.data_ptr()] = _Recipe(weakref.ref(map), function, kept)


def _pack(tensor: Tensor) -> _Saved | _Recipe:
    recipe = None if _recipes is None else _recipes.get(tensor.data_ptr())
    return recipe if recipe is not None and recipe.is_for(tensor) else _Saved.of(tensor)


@torch.no_grad()
def _unpack(saved: _Saved | _Recipe) -> Tensor:
    return saved.get()
