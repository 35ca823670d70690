"""Which settings of a data module are what they must be; `ValueError` where one is not."""

import math
from collections.abc import Mapping
from typing import Any

_MOST = 2**32 - 1  # as in NumPy


def check_seed(key: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise ValueError(f"{key} must be a whole number from 0 to {_MOST}, got {value!r}")


def check_number_or_share(key: str, value: Any) -> None:
    """A whole number of anything, or a share of all."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0 or (value > 1 and value != int(value)):
        raise ValueError(f"{key} must be a whole number of at least 0, or a share below 1, got {value!r}")


def check_transforms(key: str, value: Any) -> None:
    """See `facerec.data.augmentation`."""
    if not isinstance(value, Mapping):
        option = "none" if value is None else value
        raise ValueError(f"{key} holds transforms by name, got {value!r}: write augmentation@data.{key}={option}")
    for name, transform in value.items():
        if not callable(transform) or not hasattr(transform, "num_random"):
            raise ValueError(f"{key}.{name} is no transform, got {transform!r}: give it a _target_ or leave it out")
