"""Arrays that loading processes share."""

import weakref
from typing import Any

import numpy as np
import torch


class SharedArrays:
    """An object whose NumPy arrays a loading process does not copy.

    A process that is forked shares them anyhow, since no Python object in them is touched. To one that starts afresh
    they travel as tensors, which PyTorch hands over as shared memory.
    """

    def __getstate__(self) -> dict[str, Any]:
        return {key: _as_tensor(v) if _can_be_shared(v) else v for key, v in self.__dict__.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {key: v.numpy() if isinstance(v, torch.Tensor) else v for key, v in state.items()}


# The memory must stay while processes start from it, and all of them share one: by the address of the array.
_tensors: dict[int, torch.Tensor] = {}


def _can_be_shared(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def _as_tensor(array: np.ndarray) -> torch.Tensor:
    if id(array) not in _tensors:
        _tensors[id(array)] = torch.tensor(array)
        weakref.finalize(array, _tensors.pop, id(array), None)
    return _tensors[id(array)]
