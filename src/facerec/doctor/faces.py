"""Embeddings of the images of a part, and their sums over identities."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn.functional import normalize

from facerec.data.source import LabelledSource
from facerec.doctor.survey import Part

_BLOCK = 1 << 26  # numbers at a time


@dataclass(frozen=True, eq=False)
class Faces:
    """A part and its ``embeddings`` ``(N, D)``; those of images without a picture count for nothing. ``mean`` ``(D,)``
    is what all faces have in common."""

    part: Part
    embeddings: np.ndarray
    mean: Tensor

    def rows(self, index: np.ndarray | slice) -> Tensor:
        """The embeddings at ``index`` less the mean, of length 1."""
        return normalize(torch.from_numpy(np.asarray(self.embeddings[index], np.float32)) - self.mean)

    def blocks(self, columns: int, what: str) -> Iterator[tuple[slice, Tensor]]:
        """All rows, as many at a time as may be compared with so many ``columns``; a progress bar says ``what``."""
        size = max(1, _BLOCK // columns)
        starts = range(0, len(self.embeddings), size)
        for start in track(starts, what, console=Console(file=sys.stderr), transient=True):
            block = slice(start, start + size)
            yield block, self.rows(block)

    @property
    def usable(self) -> np.ndarray:
        """Which images can be read and are more than one colour."""
        return self.part.features["readable"] & ~self.part.features["flat"]

    @property
    def train(self) -> LabelledSource:
        assert self.part.train is not None
        return self.part.train

    @property
    def counts(self) -> np.ndarray:
        """Usable images of each identity."""
        return np.bincount(self.train.labels[self.usable], minlength=self.train.num_identities)


def sum_by_identity(faces: Faces, chosen: np.ndarray | None = None) -> Tensor:
    """Sums of the embeddings of each identity, ``(K, D)``, over its usable images, or the ``chosen`` of them."""
    used = torch.from_numpy(faces.usable if chosen is None else chosen & faces.usable)
    labels = torch.from_numpy(faces.train.labels)
    sums = torch.zeros(faces.train.num_identities, faces.embeddings.shape[1])
    for block, rows in faces.blocks(faces.embeddings.shape[1], "adding up identities"):
        sums.index_add_(0, labels[block], rows * used[block, None])
    return sums


def own_similarity(faces: Faces, sums: Tensor) -> float:
    """How near an identity is to itself: the median cosine between the centres of its halves, over the identities with
    four images or more; NaN without any."""
    labels = faces.train.labels
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(faces.train.num_identities))
    is_even = np.empty(len(labels), bool)
    is_even[order] = (np.arange(len(labels)) - starts[labels[order]]) % 2 == 0
    half = sum_by_identity(faces, is_even)
    similarities = (normalize(half) * normalize(sums - half)).sum(1).numpy()[faces.counts >= 4]
    return float(np.median(similarities)) if len(similarities) else float("nan")
