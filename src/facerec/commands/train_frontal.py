"""Train a classifier of frontal and profile faces: facerec train_frontal CFP out=outputs/frontal

CFP is a folder with the aligned faces ID/frontal/IMAGE and ID/profile/IMAGE. The classifier is first cross-validated
over disjoint people and then trained on all of them. OUT then contains
    frontal.pt           the classifier, for facerec filter_frontal
    frontal.json         accuracy, AUC, calibration, and how much it depends on borders instead of faces
    frontal.png          histogram, ROC curve and calibration for people that it never saw
    mistakes.png         the images with the largest errors
    out_of_fold.csv      the probability of each image
CFP's 7,000 images take half an hour on a CPU. A table goes to stderr; the last line on stdout is JSON.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from facerec.config.settings import command, setting
from facerec.console import log
from facerec.data.readers.folders import FolderImages
from facerec.errors import InputError
from facerec.files import check_output_folder, replacing, write_json
from facerec.frontal.calibration import auc_of_borders, calibrate_across_folds, flipped_by_a_border, reliability
from facerec.frontal.classifier import FrontalClassifier, save_classifier
from facerec.frontal.pictures import cross_validation_figure, section, show_numbers
from facerec.frontal.pose_folders import PoseImages, read_pose_folders
from facerec.frontal.training import Recipe, cross_validate, train_calibrated
from facerec.plots.contact_sheet import write_contact_sheet
from facerec.plots.network import save_figure
from facerec.process import prepare_process, refuse_too_many
from facerec.runs.provenance import code_and_environment

SHOWN = 40  # mistakes per pose
WEAK = 0.8  # a classifier with a smaller area under the ROC curve is of no use


@dataclass
class Settings:
    """Settings:"""

    interrupted = "interrupted: start again, a classifier is written only when all folds are done"

    folder: Path = setting("the folder CFP", word=True)
    out: Path = setting("folder for the results", Path("outputs/frontal"))
    folds: int = setting("number of folds of the cross-validation", 5)
    epochs: int = setting("number of epochs", 8)
    width: float = setting("width multiplier of the MobileNetV2", 0.25)
    image_size: int = setting("side of the network's input in pixels", 64)
    batch_size: int = setting("images per step", 128)
    seed: int = setting("seed of weights, order and augmentation", 1)
    force: bool = setting("replace an existing classifier", False)
    num_workers: int = setting("number of worker processes that decode images", 2, least=0)


def train(settings: Settings) -> dict[str, Any]:
    """Cross-validate, train, write the files and show the table; returns the content of the JSON line."""
    prepare_process()
    recipe = Recipe(settings.width, settings.image_size, settings.epochs, settings.batch_size, settings.seed)
    check_out(settings.out, settings.force)
    refuse_too_many(settings.num_workers, "num_workers")
    images = read_pose_folders(settings.folder, recipe.image_size, settings.num_workers)
    logits, folds, first = cross_validate(images, recipe, settings.folds)
    found = measure(images, logits, folds, first)
    return publish(settings, images, found, train_calibrated(images, logits, recipe))


def check_out(folder: Path, replace: bool) -> None:
    """Raise `InputError` before the training if its results could not be written."""
    if (folder / "frontal.pt").exists() and not replace:
        raise InputError(
            f"{folder / 'frontal.pt'} already exists: add force=true to replace it, or give another out=FOLDER"
        )
    check_output_folder(folder, f"out={folder}")


def measure(images: PoseImages, logits: np.ndarray, folds: np.ndarray, first: FrontalClassifier) -> dict[str, Any]:
    """Return the results of the cross-validation, for JSON except for ``probabilities`` and ``reliability``."""
    is_frontal = images.is_frontal
    probabilities = calibrate_across_folds(logits, is_frontal, folds)
    calls = probabilities >= 0.5
    return {
        "images": len(images),
        "frontal": int(is_frontal.sum()),
        "identities": len(np.unique(images.identities)),
        "folds": int(folds.max()) + 1,
        "accuracy": float(accuracy_score(is_frontal, calls)),
        "balanced_accuracy": float(balanced_accuracy_score(is_frontal, calls)),
        "auc": float(roc_auc_score(is_frontal, probabilities)),
        "auc_of_each_fold": [
            float(roc_auc_score(is_frontal[folds == f], logits[folds == f])) for f in np.unique(folds)
        ],
        "reliability": reliability(probabilities, is_frontal),
        "auc_of_borders_alone": auc_of_borders(images),
        "flipped_by_a_border": flipped_by_a_border(first, images, np.flatnonzero(folds == 0)),
        "probabilities": probabilities,
    }


def publish(
    settings: Settings, images: PoseImages, found: dict[str, Any], classifier: FrontalClassifier
) -> dict[str, Any]:
    """Write the files and show the table; returns the content of the JSON line."""
    probabilities, calibration = found.pop("probabilities"), found.pop("reliability")
    figure = cross_validation_figure(probabilities, images.is_frontal, found["auc"], calibration)
    results = {
        **found,
        "calibration_error": calibration.error,
        "recipe": {key: getattr(settings, key) for key in ("width", "image_size", "epochs", "batch_size", "seed")},
        "data": images.fingerprint(),
        **code_and_environment(),
    }
    save_classifier(classifier, settings.out / "frontal.pt", results)
    save_figure(figure, settings.out / "frontal.png")
    write_mistakes(settings.folder, images, probabilities, settings.out / "mistakes.png")
    write_probabilities(images, probabilities, settings.out / "out_of_fold.csv")
    write_json(settings.out / "frontal.json", results)
    show_numbers(results)
    if results["auc"] < WEAK:
        log(f"the classifier barely distinguishes the poses (AUC {results['auc']:.2f}): use more images or epochs")
    return results


def write_mistakes(folder: Path, images: PoseImages, probabilities: np.ndarray, path: Path) -> None:
    """Write a contact sheet of the frontal images with the lowest probability and the profile ones with the highest."""
    source = FolderImages(folder, images.names)
    rising = np.argsort(probabilities, kind="stable")
    lowest, highest = rising[images.is_frontal[rising]], rising[::-1][~images.is_frontal[rising[::-1]]]
    titles = "labelled frontal, lowest probability of frontal", "labelled profile, highest probability of frontal"
    parts = [
        section(title, rows[:SHOWN], source.load, lambda row: f"{images.names[row]}\n{probabilities[row]:.3f}")
        for title, rows in zip(titles, (lowest, highest), strict=True)
    ]
    write_contact_sheet(parts, path)


def write_probabilities(images: PoseImages, probabilities: np.ndarray, path: Path) -> None:
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "is_frontal", "probability"])
        rows = zip(images.names, images.is_frontal.astype(int), probabilities, strict=True)
        writer.writerows((name, pose, f"{probability:.6f}") for name, pose, probability in rows)


main = command(Settings, train)
