"""Which images are trained on and which are evaluated on, if one domain is left out."""

from typing import NamedTuple

import numpy as np

from facerec.data.fundus.masked_source import TEST, TRAIN, MaskedSource
from facerec.errors import InputError, suggestion


class Parts(NamedTuple):
    """Ascending indices of a source's images, int64.

    Attributes:
        train: training images of the seen domains that are trained on.
        held_out: training images of the seen domains that are not.
        unseen: test images of the unseen domain.
    """

    train: np.ndarray
    held_out: np.ndarray
    unseen: np.ndarray


def leave_out(source: MaskedSource, unseen: str, share: float, seed: int) -> Parts:
    """Split ``source`` by its domains and splits.

    Raises `InputError` as `check_domain`, if the domain has no test images or the others no training images, and if too
    few of them are held out or left.

    Args:
        source: all images.
        unseen: name of the domain that is not trained on.
        share: share of each seen domain's training images that is held out, at least one image; 0: none.
        seed: seed of their choice.
    """
    check_domain(unseen, source.domain_names)
    number = source.domain_names.index(unseen)
    unseen_test = np.flatnonzero((source.domains == number) & (source.split == TEST))
    if not len(unseen_test):
        problem = f"data.unseen={unseen} has no test images to evaluate on"
        raise InputError(f"{problem}: choose another domain, or make some of its images test images")
    seen = np.flatnonzero((source.domains != number) & (source.split == TRAIN))
    if not len(seen):
        problem = f"data.unseen={unseen} leaves no training images in the other domains"
        raise InputError(f"{problem}: choose another domain, or make some of their images training images")
    held_out = _held_out(source, seen, share, seed)
    return Parts(np.setdiff1d(seen, held_out), held_out, unseen_test)


def check_domain(unseen: str | None, names: tuple[str, ...]) -> str:
    """Return ``unseen``; `InputError` if it is None, none of the domains' ``names`` or the only one."""
    if unseen is None:
        problem = "data.unseen=null leaves no domain out, and the network is evaluated on one"
        raise InputError(f"{problem}: choose one of {', '.join(names)}")
    if unseen not in names:
        raise InputError(f"data.unseen={unseen} is no domain of the data: {suggestion(unseen, names)}")
    if len(names) < 2:
        raise InputError(f"data.unseen={unseen} is the only domain of the data: add another one to train on")
    return unseen


def _held_out(source: MaskedSource, seen: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Choose this share of each domain's training images, at least one and not all."""
    if not share:
        return np.empty(0, np.int64)
    rng, chosen = np.random.default_rng(seed), []
    for domain in np.unique(source.domains[seen]).tolist():
        images = seen[source.domains[seen] == domain]
        number = min(max(round(share * len(images)), 1), len(images) - 1)
        chosen.append(rng.choice(images, number, replace=False))
    held_out = np.sort(np.concatenate(chosen))
    if not len(held_out):
        problem = f"data.held_out={share:g} holds out none of {len(seen)} training images, one of each domain"
        raise InputError(f"{problem}: add images, or set data.held_out=0 for none")
    return held_out
