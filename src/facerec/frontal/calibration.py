"""How far a probability can be trusted."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression


def fit_calibration(logits: np.ndarray, is_frontal: np.ndarray) -> tuple[float, float]:
    """Slope and offset of the logit that make its probabilities right (Platt, 1999), frontal and profile images
    counting alike."""
    # The solver stops at once where all logits are nearly equal, as those of a network that has hardly begun to learn.
    mean, spread = logits.mean(), logits.std() or 1.0
    model = LogisticRegression(C=np.inf, class_weight="balanced").fit((logits[:, None] - mean) / spread, is_frontal)
    slope = float(model.coef_[0, 0] / spread)
    return slope, float(model.intercept_[0] - slope * mean)


def calibrate_across_folds(logits: np.ndarray, is_frontal: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Probabilities, float64 ``(N,)``; those of a fold are calibrated on the others alone."""
    probabilities = np.empty(len(logits))
    for fold in np.unique(folds):
        here = folds == fold
        slope, offset = fit_calibration(logits[~here], is_frontal[~here])
        probabilities[here] = expit(slope * logits[here] + offset)
    return probabilities


@dataclass(frozen=True)
class Reliability:
    """What becomes of images by the probability that they are given.

    Attributes:
        stated: mean probability of each bin that holds an image.
        found: share of frontal images in it, both poses counting alike in all.
        images: their number.
        error: expected calibration error (Naeini et al., AAAI 2015), both poses counting alike.
    """

    stated: np.ndarray
    found: np.ndarray
    images: np.ndarray
    error: float


def reliability(probabilities: np.ndarray, is_frontal: np.ndarray, bins: int = 10) -> Reliability:
    """Compare ``probabilities`` with what is so, in ``bins`` of equal width."""
    weight = np.where(is_frontal, 0.5 / is_frontal.mean(), 0.5 / (1 - is_frontal.mean())) / len(is_frontal)
    place = np.minimum((probabilities * bins).astype(int), bins - 1)

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(place, values, bins)[np.bincount(place, minlength=bins) > 0]

    total, stated, found = sums(weight), sums(weight * probabilities), sums(weight * is_frontal)
    return Reliability(stated / total, found / total, sums(np.ones(len(place))), float(np.abs(stated - found).sum()))
