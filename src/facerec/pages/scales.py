"""The scales of a plot's axes: where a value is drawn, and which values are named."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator
from scipy.special import ndtri

Ticks = list[tuple[float, str]]


class Scale(NamedTuple):
    """An axis from ``low`` to ``high``, on which ``transform`` makes equal steps equally long."""

    low: float
    high: float
    transform: Callable[[np.ndarray], np.ndarray]
    ticks: Ticks

    def place(self, values: np.ndarray) -> np.ndarray:
        """Return the positions of ``values``, 0 at ``low`` and 1 at ``high``; those outside are put on the ends."""
        low, high = self.transform(np.array([self.low, self.high]))
        return (self.transform(np.clip(values, self.low, self.high)) - low) / (high - low)


def linear(values: np.ndarray, percent: bool = False, whole: bool = False) -> Scale:
    """Return a scale a little longer than the range of ``values``, with up to six ticks, integers if ``whole``."""
    low, high = float(np.min(values)), float(np.max(values))
    first, last = (low, high) if whole else (-np.inf, np.inf)  # there is no epoch before the first or after the last
    margin = 0.04 * (high - low) or (1.0 if whole else 0.05 * abs(high) or 1.0)
    low, high = low - margin, high + margin
    factor = 100 if percent else 1
    found = (
        np.array(MaxNLocator(6, steps=[1, 2, 5, 10], integer=whole).tick_values(factor * low, factor * high)) / factor
    )
    return Scale(
        low, high, lambda x: x, [(t, _named(t, percent)) for t in found if max(low, first) <= t <= min(high, last)]
    )


def logarithmic(low: float, high: float, percent: bool = False) -> Scale:
    """Return a logarithmic scale with ticks at powers of ten, and at 2 and 5 times them if there are few."""
    for digits in ([1], [1, 2, 5], range(1, 10)):
        exponents = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        found = [d * 10.0**e for e in exponents for d in digits if low * 0.999 <= d * 10.0**e <= high * 1.001]
        if len(found) > 2:
            break
    return Scale(low, high, np.log10, [(tick, _named(tick, percent)) for tick in found])


_RATES = (1e-5, 1e-4, 1e-3, 1e-2, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)


def normal_deviate(low: float, high: float) -> Scale:
    """Return the scale of a DET curve, on which normally distributed scores give a straight line."""
    ticks = [(rate, _named(rate, True)) for rate in _RATES if low <= rate <= high]
    return Scale(low, high, ndtri, ticks)


def _named(value: float, percent: bool) -> str:
    return f"{100 * value:.6g} %" if percent else f"{value:.6g}"
