"""DET curves: FNMR over FMR, both on normal-deviate axes, where normally distributed scores make straight lines."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from scipy.special import ndtr, ndtri

_MOST = 0.6  # FMR
_TICKS = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999)


def det_figure(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Plot ``curves``, which maps labels to FMR and FNMR of `match_rates.det_points`.

    The axes begin at the least rates that the data resolve: about one error in all pairs of a kind.
    """
    figure = Figure(figsize=(5.5, 4.8), layout="constrained")
    axes = figure.add_subplot()
    visible, fmrs = [np.array([0.05, 0.5])], [np.array([0.05])]
    for index, (label, (fmr, fnmr)) in enumerate(curves.items()):
        fmr, fnmr = drawable(fmr, fnmr)
        axes.plot(fmr, fnmr, ("-", "--", "-.")[index // 10 % 3], label=label)  # there are ten colours
        visible.append(fnmr[fmr <= _MOST])
        fmrs.append(fmr)
    shown, least_fmr = np.concatenate(visible), np.concatenate(fmrs).min()
    least, most = shown.min(), min(shown.max(), 0.999)
    axes.set(xlabel="false match rate (FMR)", ylabel="false non-match rate (FNMR)", title="DET, all pairs of images")
    axes.set_xscale("function", functions=(_deviate, ndtr))
    axes.set_yscale("function", functions=(_deviate, ndtr))
    axes.set(xlim=(least_fmr, _MOST), ylim=(least, most))
    _mark(axes.xaxis, least_fmr, _MOST)
    _mark(axes.yaxis, least, most)
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize="small" if len(curves) < 8 else "xx-small")
    return figure


def drawable(fmr: np.ndarray, fnmr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points whose rates are neither 0 nor 1, which have no normal deviate."""
    inside = (fmr > 0) & (fmr < 1) & (fnmr > 0) & (fnmr < 1)
    return fmr[inside], fnmr[inside]


def _mark(axis: Axis, least: float, most: float) -> None:
    ticks = [tick for tick in _TICKS if 0.999 * least <= tick <= most]
    axis.set_minor_locator(NullLocator())
    axis.set_ticks(ticks, [f"{tick:.0e}".replace("e-0", "e-") if tick < 0.05 else f"{tick:g}" for tick in ticks])


def _deviate(rates: np.ndarray) -> np.ndarray:
    return ndtri(np.clip(rates, 1e-12, 1 - 1e-12))
