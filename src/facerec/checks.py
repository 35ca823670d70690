"""Checks of constructor arguments. Each raises `ValueError` with the name, the value and what is allowed."""

import math
from collections.abc import Mapping
from typing import Any


def check_counts(**counts: int) -> None:
    """`ValueError` for the first that is no whole number of at least 1 (``generator_layers``: 0), and for a
    ``...kernel_size`` or ``window`` that is even, since it would have no centre."""
    for name, count in counts.items():
        least = 0 if name == "generator_layers" else 1
        if not isinstance(count, int) or count < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {count!r}")
        if name.endswith(("kernel_size", "window")) and count % 2 == 0:
            raise ValueError(f"{name} must be odd, got {count}")


def check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """`ValueError` when ``value`` is none of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def check_divides(name: str, divisor: int, channels: int, even_share: bool = False) -> None:
    """`ValueError` when ``channels`` cannot be dealt out evenly, each share even where ``even_share``."""
    step = 2 if even_share else 1
    if divisor < 1 or channels % (divisor * step):
        possible = [str(d) for d in range(1, channels + 1) if channels % (d * step) == 0]
        shares = "even shares" if even_share else "equal shares"
        raise ValueError(
            f"{name}={divisor} does not divide {channels} channels into {shares}; possible are "
            f"{', '.join(possible) or 'none: choose another width'}"
        )


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


def check_number(name: str, value: Any, least: float = 0.0, most: float = math.inf) -> None:
    """`ValueError` where ``value`` is no finite number from ``least`` to ``most``."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not least <= value <= most:
        limits = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{name} must be a number {limits}, got {value!r}")
