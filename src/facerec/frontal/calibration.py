"""How far a probability can be trusted."""

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


_SIDE = 16


def auc_of_borders(images: PoseImages) -> float:
    """The area under the ROC curve of a logistic regression that sees the shape of the border alone, in 5 folds of
    identities: how strong the shortcut is."""
    borders = images.borders.astype(np.float32)
    small = np.stack([cv2.resize(border, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for border in borders])
    folds = GroupKFold(min(5, len(np.unique(images.identities))))
    features, model = small.reshape(len(small), -1), LogisticRegression(max_iter=300)
    scores = cross_val_predict(
        model, features, images.is_frontal, groups=images.identities, cv=folds, method="decision_function"
    )
    return float(roc_auc_score(images.is_frontal, scores))


def flipped_by_a_border(classifier: FrontalClassifier, images: PoseImages, rows: np.ndarray, seed: int = 0) -> float:
    """The share of the frontal images at ``rows`` that are called frontal, and profile once they wear the border of a
    random profile image among the rows as well; 0 where none is called frontal. It hides a part of the face, so that
    some must flip."""
    frontal, profile = rows[images.is_frontal[rows]], rows[~images.is_frontal[rows]]
    frontal = frontal[classifier.logits(images.pixels[frontal]) > 0]
    if not len(frontal):
        return 0.0
    borders = images.borders[np.random.default_rng(seed).choice(profile, len(frontal))]
    wearing = np.where(borders[..., None], GREY, images.pixels[frontal])
    return float((classifier.logits(wearing) <= 0).mean())
