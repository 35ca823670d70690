"""Train a classifier of frontal and profile faces: python scripts/train_frontal.py CFP --out outputs/frontal

CFP is a folder ID/frontal/IMAGE and ID/profile/IMAGE of aligned faces. First the classifier is cross-validated over
disjoint people, then trained on all of them. OUT then holds
    frontal.pt           the classifier, for scripts/filter_frontal.py
    frontal.json         accuracy, AUC, calibration, and how much it looks at borders in place of faces
    frontal.png          histogram, ROC curve and calibration of people that it never saw
    mistakes.png         the images that it is most wrong about
    out_of_fold.csv      the probability of each image
CFP's 7,000 images take half an hour on a CPU. A table goes to stderr; the last line on stdout is JSON.
"""

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

from facerec.program import run

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from facerec.console import log
from facerec.data.readers.folders import FolderImages
from facerec.errors import InputError
from facerec.files import check_output_folder, replacing, write_json
from facerec.frontal.calibration import auc_of_borders, calibrate_across_folds, flipped_by_a_border, reliability
from facerec.frontal.classifier import FrontalClassifier, save_classifier
from facerec.frontal.pictures import cross_validation_figure, section
from facerec.frontal.pose_folders import PoseImages, read_pose_folders
from facerec.frontal.training import Recipe, cross_validate, split_into_folds, train_calibrated
from facerec.plots.contact_sheet import write_contact_sheet
from facerec.plots.network import save_figure
from facerec.process import prepare_process
from facerec.runs.provenance import code_and_environment

SHOWN = 40  # mistakes of either kind
WEAK = 0.8  # area under the ROC curve that no classifier worth using stays below


def main(arguments: list[str]) -> int:
    options = read_options(arguments)
    prepare_process()
    try:
        train(options)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, SystemExit):  # Lightning makes the one into the other
        print("stopped: start again, a classifier is written when all folds are done", file=sys.stderr)
        return 130
    return 0


def train(options: argparse.Namespace) -> None:
    try:
        recipe = Recipe(options.width, options.image_size, options.epochs, options.batch_size, options.seed)
    except ValueError as error:
        raise InputError(str(error)) from error
    if options.num_workers < 0:
        raise InputError(f"num_workers must be at least 0, got {options.num_workers}")
    check_out(options.out, options.force)
    images = read_pose_folders(options.folder, recipe.image_size, options.num_workers)
    split_into_folds(images, options.folds, recipe.seed)
    logits, folds, first = cross_validate(images, recipe, options.folds)
    found = measure(images, logits, folds, first)
    publish(options, images, found, train_calibrated(images, logits, recipe))


def check_out(folder: Path, replace: bool) -> None:
    """Better refused now than after the training."""
    if (folder / "frontal.pt").exists() and not replace:
        raise InputError(f"{folder / 'frontal.pt'} is there already: add --force to replace it, or give another --out")
    check_output_folder(folder, f"--out {folder}")


def read_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="CFP", type=Path)
    parser.add_argument("--out", type=Path, default=Path("outputs/frontal"))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--width", type=float, default=Recipe.width, help="of the MobileNetV2")
    parser.add_argument("--image-size", type=int, default=Recipe.image_size, help="pixels")
    parser.add_argument("--batch-size", type=int, default=Recipe.batch_size)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--force", action="store_true", help="replace a classifier that is there")
    parser.add_argument("--num-workers", type=int, default=2, help="processes that decode")
    return parser.parse_args(arguments)


def measure(images: PoseImages, logits: np.ndarray, folds: np.ndarray, first: FrontalClassifier) -> dict[str, Any]:
    """What the cross-validation says, JSON but for the arrays ``probabilities`` and ``reliability``."""
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
    options: argparse.Namespace, images: PoseImages, found: dict[str, Any], classifier: FrontalClassifier
) -> None:
    """Write the files, the table and the line of JSON."""
    probabilities, calibration = found.pop("probabilities"), found.pop("reliability")
    figure = cross_validation_figure(probabilities, images.is_frontal, found["auc"], calibration)
    results = {
        **found,
        "calibration_error": calibration.error,
        "recipe": {key: getattr(options, key) for key in ("width", "image_size", "epochs", "batch_size", "seed")},
        "data": images.fingerprint(),
        **code_and_environment(),
    }
    save_classifier(classifier, options.out / "frontal.pt", results)
    save_figure(figure, options.out / "frontal.png")
    write_mistakes(options.folder, images, probabilities, options.out / "mistakes.png")
    write_probabilities(images, probabilities, options.out / "out_of_fold.csv")
    write_json(options.out / "frontal.json", results)
    show(results)
    if results["auc"] < WEAK:
        log(f"the classifier hardly tells the poses apart (AUC {results['auc']:.2f}): give it more images or --epochs")
    print(json.dumps(results))


def write_mistakes(folder: Path, images: PoseImages, probabilities: np.ndarray, path: Path) -> None:
    """The frontal images with the lowest probability and the profile images with the highest, as they were brought."""
    source = FolderImages(folder, images.names)
    rising = np.argsort(probabilities, kind="stable")
    lowest, highest = rising[images.is_frontal[rising]], rising[::-1][~images.is_frontal[rising[::-1]]]
    titles = "filed as frontal: the least probable", "filed as profile: the most probably frontal"
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


def show(results: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False)
    for key, value in results.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            table.add_row(key.replace("_", " "), f"{value:,}" if isinstance(value, int) else f"{value:.4f}")
    Console(stderr=True).print(table)


if __name__ == "__main__":
    run(main)
