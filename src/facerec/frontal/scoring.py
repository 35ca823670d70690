"""How frontal each image of a training set is, kept on the disk as it is computed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit, logit
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from facerec.console import log
from facerec.data import decode
from facerec.data.source import ImageSource, digest
from facerec.errors import InputError
from facerec.frontal import borders
from facerec.frontal.classifier import FrontalClassifier

# Raise it when an image is scored otherwise than before: kept scores are then computed again.
VERSION = 1
_BATCH = 256


class _Covered(Dataset):
    """Images as the classifier wants them; black, and False, where one is unreadable."""

    def __init__(self, source: ImageSource, size: int) -> None:
        self.source, self.size = source, size

    def __len__(self) -> int:
        return len(self.source)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        images = np.zeros((len(indices), self.size, self.size, 3), np.uint8)
        is_readable = np.ones(len(indices), bool)
        for row, index in enumerate(indices):
            try:
                images[row] = borders.covered(self.source.load(index), self.size)[0]
            except InputError:
                is_readable[row] = False
        return torch.from_numpy(images), torch.from_numpy(is_readable)


def score_images(classifier: FrontalClassifier, source: ImageSource, folder: Path, num_workers: int = 0) -> np.ndarray:
    """Logit of each image, float32 ``(N,)``, NaN where it is unreadable.

    They are written to ``folder/scores-FINGERPRINT.f32`` as they come, so that a run that was interrupted goes on where
    it stopped, and one with another threshold has nothing to do. Another classifier, other images or files, or another
    version of the program have another fingerprint. `InputError` where ``folder`` cannot be written to.
    """
    path = folder / f"scores-{_fingerprint(classifier, source)}.f32"
    done = path.stat().st_size // 4 if path.is_file() else 0
    if done:
        log(f"{done:,} of {len(source):,} images were scored before ({path})")
    if done < len(source):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _go_on(classifier, source, path, done, num_workers)
        except OSError as error:
            kept = "; what is scored is kept" if path.is_file() and path.stat().st_size else ""
            raise InputError(
                f"{path} cannot be written ({error.strerror}): free space or choose another folder{kept}"
            ) from error
    return np.fromfile(path, np.float32)


def _go_on(classifier: FrontalClassifier, source: ImageSource, path: Path, done: int, num_workers: int) -> None:
    remaining = Subset(_Covered(source, classifier.image_size), range(done, len(source)))
    loader = DataLoader(remaining, _BATCH, num_workers=num_workers, collate_fn=_whole)
    # Whatever a kill left of a number's four bytes is written over.
    with path.open("r+b" if done else "wb") as file, tqdm(total=len(source), initial=done, desc="scoring") as bar:
        file.seek(4 * done)
        file.truncate()
        for images, is_readable in loader:
            logits = classifier.logits(images.numpy()).astype(np.float32)
            file.write(np.where(is_readable.numpy(), logits, np.float32("nan")).tobytes())
            file.flush()
            bar.update(len(images))


def _whole(batch: Any) -> Any:
    """A dataset's batch needs no collating."""
    return batch


def _fingerprint(classifier: FrontalClassifier, source: ImageSource) -> str:
    weights = hashlib.sha256()
    for name, value in classifier.state_dict().items():
        weights.update(name.encode() + value.cpu().numpy().tobytes())
    images = str(classifier.image_size), source.fingerprint(), source.state()
    return digest([weights.hexdigest(), f"scores {VERSION}", decode.DECODER, *images])


@dataclass(frozen=True)
class Selection:
    """What is kept.

    Attributes:
        threshold: the least logit of a kept image.
        is_frontal: bool ``(N,)``, at or above it.
        is_kept: bool ``(N,)``, those whose identity has enough of them.
    """

    threshold: float
    is_frontal: np.ndarray
    is_kept: np.ndarray


def select(
    logits: np.ndarray, labels: np.ndarray, *, threshold: float | None, keep: float | None, min_images: int
) -> Selection:
    """Keep the images whose probability is at least ``threshold``, or the share ``keep`` of the most frontal ones, of
    those identities that have at least ``min_images`` of them.

    Args:
        logits: float ``(N,)``, NaN for images that are never kept.
        labels: int64 ``(N,)``, identities from 0.
        threshold: a probability; None: ``keep`` says it.
        keep: share of the readable images, above 0 and at most 1, before identities are left out; images as frontal as
            the last of them are kept too.
        min_images: of an identity.

    `InputError` when nothing is left.
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
    """The least logit among the share ``keep`` of the readable images that have the highest."""
    readable = np.sort(logits[~np.isnan(logits)])[::-1]
    return float(readable[max(1, round(keep * len(readable))) - 1])
