"""Which images of a training set are kept, by how frontal they are."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from facerec.errors import InputError


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
        raise InputError("no image could be read: look at the data with scripts/check_data.py")
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
