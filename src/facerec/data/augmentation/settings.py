"""Which settings of transforms are numbers."""

import math
from typing import Any


def check_number(name: str, value: Any, least: float = 0.0, most: float = math.inf) -> None:
    """`ValueError` where ``value`` is no finite number from ``least`` to ``most``."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not least <= value <= most:
        limits = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{name} must be a number {limits}, got {value!r}")
