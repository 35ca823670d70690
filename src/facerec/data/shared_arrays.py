"""Arrays that workers share."""

import weakref
from typing import Any

import numpy as np
import torch


class SharedArrays:
    """An object whose NumPy arrays are not copied to workers.

    A forked worker shares them anyway, since no Python object in them is touched. A spawned worker receives them as
    tensors, which PyTorch transfers through shared memory.
    """

    def __getstate__(self) -> dict[str, Any]:
        return {key: _shared(value) for key, value in self.__dict__.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {key: v.numpy() if isinstance(v, torch.Tensor) else v for key, v in state.items()}


# Keep each array's shared tensor alive while workers start; keyed by id(array).
_tensors: dict[int, torch.Tensor] = {}


def _shared(value: Any) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        return value
    if id(value) not in _tensors:
        _tensors[id(value)] = torch.tensor(value)
        weakref.finalize(value, _tensors.pop, id(value), None)
    return _tensors[id(value)]
