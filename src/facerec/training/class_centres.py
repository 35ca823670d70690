"""The class centres in a checkpoint: whole on disk, however many devices they are divided among."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from facerec.heads import CosineHead
from facerec.heads.across_devices import device_index, joined, rows_of

_NAME = "head.weight"


def join_centres(checkpoint: dict[str, Any], head: CosineHead, optimizer: Optimizer) -> None:
    """Put the whole centres and their state in ``optimizer`` in place of this device's part, on the first device.

    To be called on all devices. The live state of the optimizer stays as it is.
    """
    _replace(checkpoint, _place(head, optimizer), partial(joined, num_rows=head.num_identities))


def divide_centres(checkpoint: dict[str, Any], head: CosineHead, optimizer: Optimizer) -> None:
    """Put this device's part in place of the whole centres and of their state in ``optimizer``.

    Tables of another number of identities stay as they are.
    """
    rows = rows_of(head.num_identities, device_index())

    def part(table: Tensor) -> Tensor:
        return table[rows.start : rows.stop].clone() if len(table) == head.num_identities else table

    _replace(checkpoint, _place(head, optimizer), part)


def _replace(checkpoint: dict[str, Any], place: int | None, change: Callable[[Tensor], Tensor]) -> None:
    for key in ("state_dict", "current_model_state"):
        weights = checkpoint.get(key, {})
        if _NAME in weights:
            weights[_NAME] = change(weights[_NAME])
    for states in checkpoint.get("optimizer_states", ()):
        if place in states["state"]:
            states["state"] = {**states["state"], place: _changed(states["state"][place], change)}


def _changed(state: dict[str, Any], change: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    return {key: change(value) if isinstance(value, Tensor) and value.ndim else value for key, value in state.items()}


def _place(head: CosineHead, optimizer: Optimizer) -> int | None:
    """Return the index of the centres among the parameters of ``optimizer``, None if they are not trained."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return next((place for place, parameter in enumerate(parameters) if parameter is head.weight), None)
