"""Checks of constructor arguments; each raises `ValueError` with the name, the value and what is allowed."""

import math
from collections.abc import Mapping
from typing import Any


def check_counts(**counts: int) -> None:
    """Check for integers of at least 1 (``generator_layers``: 0), and for odd ones if the name is ``window`` or ends
    with ``kernel_size``: an even window has no centre."""
    for name, count in counts.items():
        least = 0 if name == "generator_layers" else 1
        if not isinstance(count, int) or count < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {count!r}")
        if name.endswith(("kernel_size", "window")) and count % 2 == 0:
            raise ValueError(f"{name} must be odd, got {count}")


def check_choice(name: str, value: object, allowed: tuple[str, ...] | tuple[int, ...]) -> None:
    """Check that ``value`` is one of ``allowed``."""
    if value not in allowed or isinstance(value, bool):
        raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}")


def check_divides(name: str, divisor: int, channels: int, even_share: bool = False) -> None:
    """Check that ``channels`` can be split into ``divisor`` equal groups, of even size if ``even_share``."""
    step = 2 if even_share else 1
    if divisor < 1 or channels % (divisor * step):
        possible = [str(d) for d in range(1, channels + 1) if channels % (d * step) == 0]
        groups = "even groups" if even_share else "equal groups"
        allowed = ", ".join(possible) or "none: choose another width"
        raise ValueError(f"{name}={divisor} does not divide {channels} channels into {groups}; possible are {allowed}")


_LARGEST_SEED = 2**32 - 1


def check_seed(key: str, value: Any) -> None:
    """Check for an integer that NumPy takes as a seed."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST_SEED:
        raise ValueError(f"{key} must be an integer from 0 to {_LARGEST_SEED}, got {value!r}")


def check_number_or_share(key: str, value: Any) -> None:
    """Check for a count, an integer of at least 0, or a fraction below 1."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0 or (value > 1 and value != int(value)):
        raise ValueError(f"{key} must be an integer of at least 0, or a fraction below 1, got {value!r}")


def check_transforms(key: str, value: Any) -> None:
    """Check for transforms by name, see `facerec.data.augmentation`."""
    if not isinstance(value, Mapping):
        option = "none" if value is None else value
        raise ValueError(f"{key} must be transforms by name, got {value!r}: write augmentation@data.{key}={option}")
    for name, transform in value.items():
        if not callable(transform) or not hasattr(transform, "num_random"):
            raise ValueError(f"{key}.{name} is not a transform, got {transform!r}: give it a _target_ or leave it out")


def check_number(name: str, value: Any, least: float = 0.0, most: float = math.inf) -> None:
    """Check for a finite number from ``least`` to ``most``."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not least <= value <= most:
        limits = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{name} must be a number {limits}, got {value!r}")
