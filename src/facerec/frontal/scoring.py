"""Scores of how frontal each image of a training set is, cached on the disk while they are computed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.special import expit, logit
from torch import Tensor
from tqdm import tqdm

from facerec.console import log
from facerec.data import decode
from facerec.data.loading import in_workers
from facerec.data.source import ImageSource, digest
from facerec.errors import InputError
from facerec.frontal import borders
from facerec.frontal.classifier import FrontalClassifier

# Raise it when an image is scored differently than before: cached scores are then computed again.
VERSION = 1
_BATCH = 256


def score_images(classifier: FrontalClassifier, source: ImageSource, folder: Path, num_workers: int = 0) -> np.ndarray:
    """Compute the logit of each image, float32 ``(N,)``, NaN for an unreadable image.

    Logits are written to ``folder/scores-FINGERPRINT.f32`` batch by batch, so that an interrupted run continues where
    it stopped, and a run with another threshold reuses them. The fingerprint depends on the classifier, the images,
    their files and the version of the program. Raises `InputError` if ``folder`` cannot be written to.
    """
    path = folder / f"scores-{_fingerprint(classifier, source)}.f32"
    done = path.stat().st_size // 4 if path.is_file() else 0
    if done:
        log(f"{done:,} of {len(source):,} images were scored before ({path})")
    if done < len(source):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _score_remaining(classifier, source, path, done, num_workers)
        except OSError as error:
            kept = "; finished scores are kept" if path.is_file() and path.stat().st_size else ""
            raise InputError(
                f"{path} cannot be written ({error.strerror}): free space or choose another folder{kept}"
            ) from error
    return np.fromfile(path, np.float32)


def _score_remaining(
    classifier: FrontalClassifier, source: ImageSource, path: Path, done: int, num_workers: int
) -> None:
    load, remaining = partial(_load, source, classifier.image_size), range(done, len(source))
    # Overwrites a score of which a killed process wrote fewer than four bytes.
    with path.open("r+b" if done else "wb") as file, tqdm(total=len(source), initial=done, desc="scoring") as bar:
        file.seek(4 * done)
        file.truncate()
        for images, is_readable in in_workers(load, remaining, _BATCH, num_workers):
            logits = classifier.logits(images.numpy()).astype(np.float32)
            file.write(np.where(is_readable.numpy(), logits, np.float32("nan")).tobytes())
            file.flush()
            bar.update(len(images))


def _load(source: ImageSource, size: int, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Load images with covered borders, in a worker, and whether each is readable; an unreadable image is black."""
    images, is_readable = np.zeros((len(indices), size, size, 3), np.uint8), np.ones(len(indices), bool)
    for row, index in enumerate(indices):
        try:
            images[row] = borders.covered(source.load(index), size)[0]
        except InputError:
            is_readable[row] = False
    return torch.from_numpy(images), torch.from_numpy(is_readable)


def _fingerprint(classifier: FrontalClassifier, source: ImageSource) -> str:
    weights = hashlib.sha256()
    for name, value in classifier.state_dict().items():
        weights.update(name.encode() + value.cpu().numpy().tobytes())
    images = str(classifier.image_size), source.fingerprint(), source.state()
    return digest([weights.hexdigest(), f"scores {VERSION}", decode.DECODER, *images])


@dataclass(frozen=True)
class Selection:
    """The images that are kept.

    Attributes:
        threshold: lowest logit of a frontal image.
        is_frontal: bool ``(N,)``, whether the logit is at least ``threshold``.
        is_kept: bool ``(N,)``, the frontal images whose identity has enough of them.
    """

    threshold: float
    is_frontal: np.ndarray
    is_kept: np.ndarray


def select(
    logits: np.ndarray, labels: np.ndarray, *, threshold: float | None, keep: float | None, min_images: int
) -> Selection:
    """Keep the images whose probability is at least ``threshold``, or the fraction ``keep`` of the most frontal images,
    and of these only the identities with at least ``min_images`` images.

    Args:
        logits: float ``(N,)``, NaN for images that are never kept.
        labels: class labels, int64 ``(N,)``, from 0.
        threshold: a probability, or None to use ``keep``.
        keep: fraction of the readable images, above 0 and at most 1, before identities are left out; images with the
            same logit as the last of them are kept too.
        min_images: minimum number of frontal images per identity.

    Raises:
        InputError: no image is readable, or none is kept.
    """
    if np.isnan(logits).all():
        raise InputError("no image could be read: look at the data with facerec check_data")
    if threshold is None:
        assert keep is not None
        least = least_of_share(logits, keep)
    else:
        least = float(logit(threshold))
    is_frontal = logits >= least
    counts = np.bincount(labels[is_frontal], minlength=int(labels.max()) + 1)
    is_kept = is_frontal & (counts[labels] >= min_images)
    if not is_kept.any():
        raise InputError(
            f"no identity has {min_images} images with a probability of at least {expit(least):.4f}: lower the "
            "threshold or min_images"
        )
    return Selection(least, is_frontal, is_kept)


def least_of_share(logits: np.ndarray, keep: float) -> float:
    """Return the lowest logit among the fraction ``keep`` of the readable images with the highest logits."""
    readable = np.sort(logits[~np.isnan(logits)])[::-1]
    return float(readable[max(1, round(keep * len(readable))) - 1])
