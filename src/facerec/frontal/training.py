"""Training of the classifier of frontal faces, and cross-validation over disjoint identities."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LambdaCallback
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

from facerec.console import log
from facerec.errors import InputError
from facerec.frontal.calibration import fit_calibration
from facerec.frontal.classifier import FrontalClassifier
from facerec.frontal.pose_folders import PoseImages


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of the training.

    Attributes:
        width: multiplier of the channel counts.
        image_size: side of the images in pixels.
        epochs: number of epochs, during which the learning rate goes through one cycle.
        batch_size: images per step.
        seed: seed of weights, order and augmentation.

    Raises:
        InputError: a value is too small for training.
    """

    width: float = 0.25
    image_size: int = 64
    epochs: int = 8
    batch_size: int = 128
    seed: int = 1

    def __post_init__(self) -> None:
        for name, least in (("image_size", 32), ("epochs", 1), ("batch_size", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 < self.width < np.inf:
            raise InputError(f"width must be positive, got {self.width}")


def train_classifier(images: PoseImages, rows: np.ndarray, recipe: Recipe, title: str) -> FrontalClassifier:
    """Train a classifier on ``images`` at ``rows``, with a progress bar on standard error; it is not calibrated."""
    pl.seed_everything(recipe.seed, verbose=False)
    is_frontal = images.is_frontal[rows]
    classifier = FrontalClassifier(
        recipe.width, recipe.image_size, frontal_share=float(is_frontal.mean()), seed=recipe.seed
    )
    data = TensorDataset(*map(torch.from_numpy, (images.pixels[rows], images.borders[rows], is_frontal)))
    loader = DataLoader(data, min(recipe.batch_size, len(data)), shuffle=True, drop_last=True)
    with tqdm(total=recipe.epochs * len(loader), desc=title, unit=" steps") as bar:
        progress = LambdaCallback(on_train_batch_end=lambda *_: bar.update())
        options: dict[str, Any] = dict.fromkeys(
            ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
        )
        pl.Trainer(max_epochs=recipe.epochs, devices=1, callbacks=[progress], **options).fit(classifier, loader)
    return classifier


def cross_validate(images: PoseImages, recipe: Recipe, folds: int) -> tuple[np.ndarray, np.ndarray, FrontalClassifier]:
    """Train on all folds but one and predict that one, for each fold; no person is in two folds.

    Returns:
        The logits of all images, float64 ``(N,)``, each from a classifier that never saw the person, not calibrated;
        the fold of each image, int64 ``(N,)``; and the classifier of the first fold.

    Raises:
        InputError: there are too few identities for so many folds.
    """
    logits, fold_of, classifiers = np.zeros(len(images)), split_into_folds(images, folds, recipe.seed), []
    for fold in range(folds):
        held_out = np.flatnonzero(fold_of == fold)
        classifier = train_classifier(images, np.flatnonzero(fold_of != fold), recipe, f"fold {fold + 1} of {folds}")
        logits[held_out] = classifier.logits(images.pixels[held_out])
        auc = roc_auc_score(images.is_frontal[held_out], logits[held_out])
        log(f"fold {fold + 1} of {folds}: AUC {auc:.4f} on {len(held_out)} images of people it never saw")
        classifiers.append(classifier)
    return logits, fold_of, classifiers[0]


def split_into_folds(images: PoseImages, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each image, int64 ``(N,)``; folds have disjoint identities, and each fold has both poses."""
    identities = len(np.unique(images.identities))
    if not 2 <= folds <= identities:
        raise InputError(f"{identities} identities cannot be split into {folds} folds: give from 2 to {identities}")
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    fold_of = np.zeros(len(images), np.int64)
    for fold, (_, held_out) in enumerate(splitter.split(images.pixels, images.is_frontal, images.identities)):
        fold_of[held_out] = fold
    for fold in range(folds):
        for part in (images.is_frontal[fold_of == fold], images.is_frontal[fold_of != fold]):
            if part.all() or not part.any():
                raise InputError(f"fold {fold + 1} of {folds} or the rest has only one pose: use fewer folds")
    return fold_of


def train_calibrated(images: PoseImages, logits: np.ndarray, recipe: Recipe) -> FrontalClassifier:
    """Train a classifier on all images and calibrate it by the ``logits`` that `cross_validate` returned."""
    classifier = train_classifier(images, np.arange(len(images)), recipe, "all identities")
    classifier.calibration.copy_(torch.tensor(fit_calibration(logits, images.is_frontal)))
    return classifier
