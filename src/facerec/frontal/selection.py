"""Which images of a training set are kept, by their probability of being frontal."""

from dataclasses import dataclass

import numpy as np

from facerec.errors import InputError


@dataclass(frozen=True)
class Selection:
    """What is kept.

    Attributes:
        threshold: the least probability of a kept image.
        is_frontal: bool ``(N,)``, at or above it.
        is_kept: bool ``(N,)``, those whose identity has enough of them.
    """

    threshold: float
    is_frontal: np.ndarray
    is_kept: np.ndarray


def select(
    probabilities: np.ndarray, labels: np.ndarray, *, threshold: float | None, keep: float | None, min_images: int
) -> Selection:
    """Keep the images at or above ``threshold``, or the share ``keep`` with the highest probabilities, of those
    identities that have at least ``min_images`` of them.

    Args:
        probabilities: float ``(N,)``, NaN for images that are never kept.
        labels: int64 ``(N,)``, identities from 0.
        threshold: a probability; None: ``keep`` says it.
        keep: share of the readable images, above 0 and at most 1, before identities are left out; images as probable as
            the last of them are kept too.
        min_images: of an identity.

    `InputError` when nothing is left.
    """
    if threshold is None:
        assert keep is not None
        threshold = threshold_for(probabilities, keep)
    is_frontal = probabilities >= threshold
    counts = np.bincount(labels[is_frontal], minlength=int(labels.max()) + 1)
    is_kept = is_frontal & (counts[labels] >= min_images)
    if not is_kept.any():
        raise InputError(
            f"no identity has {min_images} images with a probability of at least {threshold:.4f}: lower the threshold "
            "or min_images"
        )
    return Selection(threshold, is_frontal, is_kept)


def threshold_for(probabilities: np.ndarray, keep: float) -> float:
    """The least probability among the share ``keep`` of the readable images that have the highest."""
    readable = np.sort(probabilities[~np.isnan(probabilities)])[::-1]
    if not len(readable):
        raise InputError("no image could be read: look at the data with scripts/check_data.py")
    return float(readable[max(1, round(keep * len(readable))) - 1])
