"""Whether a classifier looks at the pose, or at what only happens to go with it in CFP."""

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from facerec.frontal.borders import GREY
from facerec.frontal.classifier import FrontalClassifier
from facerec.frontal.pose_folders import PoseImages

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
