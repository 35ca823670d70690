"""What a person looks at after a classifier was trained, and after a set was filtered."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from facerec.contact_sheet import Section
from facerec.frontal.calibration import Reliability

_FRONTAL, _PROFILE = "tab:blue", "tab:orange"


def cross_validation_figure(
    probabilities: np.ndarray, is_frontal: np.ndarray, auc: float, reliability: Reliability
) -> Figure:
    """Histogram of the probabilities, ROC curve and calibration, of images that the classifier never saw."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    histogram, roc, calibration = figure.subplots(1, 3)
    bins = np.linspace(0, 1, 41).tolist()
    histogram.hist(probabilities[is_frontal], bins, alpha=0.6, color=_FRONTAL, label="frontal", density=True)
    histogram.hist(probabilities[~is_frontal], bins, alpha=0.6, color=_PROFILE, label="profile", density=True)
    histogram.set(xlabel="probability of frontal", ylabel="density", yscale="log", title="people it never saw")
    histogram.legend()
    false_frontal, true_frontal, _ = roc_curve(is_frontal, probabilities)
    roc.step(false_frontal, true_frontal, where="post", label=f"AUC {auc:.4f}")
    roc.set(xscale="log", xlim=(1e-3, 1), ylim=(0, 1.01), title="ROC")
    roc.set(xlabel="share of profile images called frontal", ylabel="share of frontal images called frontal")
    roc.grid(alpha=0.3)
    roc.legend(loc="lower right")
    calibration.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    calibration.plot(reliability.stated, reliability.found, marker="o", label=f"error {reliability.error:.3f}")
    for stated, found, images in zip(reliability.stated, reliability.found, reliability.images, strict=True):
        calibration.annotate(f"{images:.0f}", (stated, found), (6, -10), textcoords="offset points", fontsize="x-small")
    calibration.set(xlabel="probability stated", ylabel="share frontal, poses counting alike", title="calibration")
    calibration.legend()
    return figure


def scores_figure(probabilities: np.ndarray, is_kept: np.ndarray, threshold: float) -> Figure:
    """Histogram of a set's probabilities, what is kept, and the threshold."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    parts = [probabilities[is_kept], probabilities[~is_kept]]
    labels = [f"{len(parts[0]):,} kept", f"{len(parts[1]):,} left out"]
    bins = np.linspace(0, 1, 51).tolist()
    axes.hist(parts, bins, stacked=True, color=[_FRONTAL, _PROFILE], label=labels)
    axes.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.3f}")
    axes.set(xlabel="probability of frontal", ylabel="images", yscale="log")
    axes.legend()
    return figure


def section(title: str, rows: np.ndarray, load: Callable[[int], np.ndarray], caption: Callable[[int], str]) -> Section:
    """The images at ``rows`` as a part of a contact sheet."""
    return Section(title, [load(row) for row in rows.tolist()], [caption(row) for row in rows.tolist()])
