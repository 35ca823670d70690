"""Figures and a table of results, for a trained classifier and for a filtered training set."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_curve

from facerec.frontal.calibration import Reliability
from facerec.plots.contact_sheet import Section

_FRONTAL, _PROFILE = "tab:blue", "tab:orange"
_EMPTY = 0.5  # height at which an empty bin is drawn
_LOWEST_RATE = 1e-3  # left end of the ROC curve, a fraction of the profile images


def cross_validation_figure(
    probabilities: np.ndarray, is_frontal: np.ndarray, auc: float, reliability: Reliability
) -> Figure:
    """Plot histogram of the probabilities, ROC curve and calibration for images that the classifier never saw."""
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    histogram, roc, calibration = figure.subplots(1, 3)
    parts = {"frontal": probabilities[is_frontal], "profile": probabilities[~is_frontal]}
    _draw_histogram(histogram, {f"{len(part):,} {pose}": part for pose, part in parts.items()}, 40)
    histogram.set_title("people it never saw")
    _draw_roc(roc, probabilities, is_frontal, auc)
    _draw_calibration(calibration, reliability)
    return figure


def _draw_histogram(axes: Axes, parts: dict[str, np.ndarray], bins: int) -> None:
    """Draw the outlines of the histograms of both ``parts``, not stacked: a logarithmic axis cannot show sums."""
    edges = np.linspace(0, 1, bins + 1)
    counts = {label: np.histogram(part, edges)[0] for label, part in parts.items()}
    # The second one is dashed, so that the first remains visible where both are equal.
    for (label, heights), colour, line in zip(counts.items(), (_FRONTAL, _PROFILE), ("-", "--"), strict=True):
        # An empty bin has no logarithm and is drawn at _EMPTY, below a bin with one image.
        axes.stairs(np.maximum(heights, _EMPTY), edges, baseline=_EMPTY, color=colour, label=label, linestyle=line)
    most = max(1, *(int(heights.max()) for heights in counts.values()))
    axes.set(xlabel="probability of frontal", ylabel="images", yscale="log", ylim=(_EMPTY, 6 * most))  # for the legend
    axes.yaxis.set_major_locator(LogLocator(numticks=8))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper center", ncols=3, framealpha=1)


def _draw_roc(axes: Axes, probabilities: np.ndarray, is_frontal: np.ndarray, auc: float) -> None:
    false_frontal, true_frontal, _ = roc_curve(is_frontal, probabilities)
    rates = np.geomspace(_LOWEST_RATE, 1, 1000)
    axes.plot(rates, np.interp(rates, false_frontal, true_frontal), label=f"AUC {auc:.4f}")
    axes.set(xscale="log", xlim=(_LOWEST_RATE, 1), ylim=(0, 1.01), title="ROC")
    axes.set(xlabel="fraction of profile images called frontal", ylabel="fraction of frontal images called frontal")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    axes.legend(loc="best")


def _draw_calibration(axes: Axes, reliability: Reliability) -> None:
    """Draw the observed over the stated probability; the number of images of each point is shown above the plot."""
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    axes.plot(reliability.stated, reliability.found, marker="o", label=f"error {reliability.error:.3f}")
    axes.set(
        xlabel="stated probability", ylabel="fraction frontal, poses balanced", title="calibration, image counts above"
    )
    axes.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
    above = axes.secondary_xaxis("top")
    labels = [f"{images:.0f}" for images in reliability.images]
    above.set_xticks(reliability.stated, labels, rotation=90, fontsize="x-small")
    axes.legend(loc="best")


def scores_figure(probabilities: np.ndarray, is_kept: np.ndarray, threshold: float) -> Figure:
    """Plot the histogram of a set's probabilities, split into kept and left out, and the threshold."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    parts = {"kept": probabilities[is_kept], "left out": probabilities[~is_kept]}
    axes.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.3f}")
    _draw_histogram(axes, {f"{len(part):,} {name}": part for name, part in parts.items()}, 50)
    return figure


def section(title: str, rows: np.ndarray, load: Callable[[int], np.ndarray], caption: Callable[[int], str]) -> Section:
    """Return the images at ``rows`` as a section of a contact sheet."""
    return Section(title, [load(row) for row in rows.tolist()], [caption(row) for row in rows.tolist()])


def show_numbers(results: Mapping[str, Any]) -> None:
    """Print those of the ``results`` that are numbers as a table on standard error."""
    table = Table(box=None, show_header=False)
    for key, value in results.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            table.add_row(key.replace("_", " "), f"{value:,}" if isinstance(value, int) else f"{value:.4g}")
    Console(stderr=True).print(table)
