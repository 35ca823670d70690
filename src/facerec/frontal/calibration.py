"""Calibration of the classifier's probabilities, and measures of how reliable they are."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from facerec.frontal.borders import GREY
from facerec.frontal.classifier import FrontalClassifier
from facerec.frontal.pose_folders import PoseImages


def fit_calibration(logits: np.ndarray, is_frontal: np.ndarray) -> tuple[float, float]:
    """Fit slope and offset of the logit that calibrate its probabilities (Platt, 1999), with equal total weight for
    frontal and profile images."""
    # Without scaling, the solver stops at once if all logits are nearly equal, as those of a barely trained network.
    mean, spread = logits.mean(), logits.std() or 1.0
    model = LogisticRegression(C=np.inf, class_weight="balanced").fit((logits[:, None] - mean) / spread, is_frontal)
    slope = float(model.coef_[0, 0] / spread)
    return slope, float(model.intercept_[0] - slope * mean)


def calibrate_across_folds(logits: np.ndarray, is_frontal: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return calibrated probabilities, float64 ``(N,)``; each fold is calibrated on the other folds only."""
    probabilities = np.empty(len(logits))
    for fold in np.unique(folds):
        in_fold = folds == fold
        slope, offset = fit_calibration(logits[~in_fold], is_frontal[~in_fold])
        probabilities[in_fold] = expit(slope * logits[in_fold] + offset)
    return probabilities


@dataclass(frozen=True)
class Reliability:
    """Stated probability compared with the observed fraction of frontal images, per bin of probability.

    Both poses have equal total weight.

    Attributes:
        stated: mean probability of each bin that is not empty.
        found: fraction of frontal images in each of these bins.
        images: number of images in each of these bins.
        error: expected calibration error (Naeini et al., AAAI 2015).
    """

    stated: np.ndarray
    found: np.ndarray
    images: np.ndarray
    error: float


def reliability(probabilities: np.ndarray, is_frontal: np.ndarray, bins: int = 10) -> Reliability:
    """Compare ``probabilities`` with the true poses in ``bins`` of equal width."""
    weight = np.where(is_frontal, 0.5 / is_frontal.mean(), 0.5 / (1 - is_frontal.mean())) / len(is_frontal)
    bin_of = np.minimum((probabilities * bins).astype(int), bins - 1)

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(bin_of, values, bins)[np.bincount(bin_of, minlength=bins) > 0]

    total, stated, found = sums(weight), sums(weight * probabilities), sums(weight * is_frontal)
    return Reliability(stated / total, found / total, sums(np.ones(len(bin_of))), float(np.abs(stated - found).sum()))


_SIDE = 16


def auc_of_borders(images: PoseImages) -> float:
    """Measure the strength of the border shortcut: the area under the ROC curve of a logistic regression that sees only
    the shape of the border, cross-validated over 5 folds of identities."""
    borders = images.borders.astype(np.float32)
    small = np.stack([cv2.resize(border, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for border in borders])
    folds = GroupKFold(min(5, len(np.unique(images.identities))))
    features, model = small.reshape(len(small), -1), LogisticRegression(max_iter=300)
    scores = cross_val_predict(
        model, features, images.is_frontal, groups=images.identities, cv=folds, method="decision_function"
    )
    return float(roc_auc_score(images.is_frontal, scores))


def flipped_by_a_border(classifier: FrontalClassifier, images: PoseImages, rows: np.ndarray, seed: int = 0) -> float:
    """Return the fraction of images whose predicted pose a border changes from frontal to profile.

    Of the frontal images at ``rows`` that are classified as frontal, it counts those that are classified as profile
    once they also have the border of a random profile image among the rows. It is 0 if no image is classified as
    frontal. The added border hides a part of the face, so some predictions are bound to change.
    """
    frontal, profile = rows[images.is_frontal[rows]], rows[~images.is_frontal[rows]]
    frontal = frontal[classifier.logits(images.pixels[frontal]) > 0]
    if not len(frontal):
        return 0.0
    borders = images.borders[np.random.default_rng(seed).choice(profile, len(frontal))]
    bordered = np.where(borders[..., None], GREY, images.pixels[frontal])
    return float((classifier.logits(bordered) <= 0).mean())
