"""Embeddings of the images of a part, and their sums over identities."""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn.functional import normalize

from facerec.data.loading import ImageDataset, image_loader, normalise
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


class Embedder:
    """A trained network, on the GPU where there is one.

    Args:
        network: normalised images ``(B, 3, H, W)`` to embeddings ``(B, D)``.
        image_size: (height, width) that it takes.
    """

    def __init__(self, network: nn.Module, image_size: tuple[int, int]) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.eval().to(self.device, memory_format=torch.channels_last)  # pyright: ignore
        self.image_size = image_size

    @torch.inference_mode()
    def embed(self, part: Part, num_workers: int) -> np.ndarray:
        """Embeddings of length 1, float16 ``(N, D)`` in a temporary file, zero where the image is unreadable; with a
        progress bar on standard error."""
        dataset = ImageDataset(part.source, np.arange(len(part)), self.image_size)
        readable = np.flatnonzero(part.features["readable"])
        loader = image_loader(dataset, 256, num_workers, sampler=readable)
        table, console = None, Console(file=sys.stderr)
        for images, numbers in track(loader, f"embedding the {part.title}", console=console):
            embeddings = normalize(self.network(normalise(images.to(self.device))).float()).cpu().numpy()
            if table is None:
                table = _table(len(part), embeddings.shape[1])
            table[numbers.numpy()] = embeddings
        return _table(len(part), 1) if table is None else table


def _table(rows: int, columns: int) -> np.ndarray:
    # A file, since five million embeddings take 5 GB; the operating system removes it with the last use.
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float16, "w+", shape=(max(rows, 1), columns))[:rows]


_BLOCK = 1 << 26  # similarities at a time
_NEVER = -2.0  # below any cosine


def label_gaps(train: Faces, sums: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """For each image how much nearer the centre of another identity is than the centre of the others of its own, and
    which identity that is. NaN where there are no others.

    ``sums`` are those of `sum_by_identity`.
    """
    labels, centres = torch.from_numpy(train.train.labels), normalize(sums)
    gaps, nearest = torch.empty(len(labels)), torch.empty(len(labels), dtype=torch.int64)
    empty = torch.from_numpy(train.counts == 0)
    for block, rows in train.blocks(len(centres), "looking for wrong labels"):
        own = (normalize(sums[labels[block]] - rows) * rows).sum(1)
        similarity = rows @ centres.T
        similarity[:, empty] = _NEVER
        similarity[torch.arange(len(rows)), labels[block]] = _NEVER
        best, nearest[block] = similarity.max(1)
        gaps[block] = best - own
    comparable = train.usable & (train.counts[train.train.labels] > 1)
    return np.where(comparable, gaps.numpy(), np.nan), nearest.numpy()


def mutual_neighbours(centres: Tensor, counts: np.ndarray) -> list[tuple[int, int, float]]:
    """Pairs of identities that are each other's nearest, with their similarity, the nearest first. Those with fewer
    than two images have no centre worth the name."""
    alone = torch.from_numpy(counts < 2)
    number = torch.arange(len(centres))
    similarity, nearest = torch.empty(len(centres)), torch.empty_like(number)
    size = max(1, _BLOCK // len(centres))
    for block in (slice(start, start + size) for start in range(0, len(centres), size)):
        found = centres[block] @ centres.T
        found[:, alone] = _NEVER
        found[torch.arange(len(found)), number[block]] = _NEVER
        similarity[block], nearest[block] = found.max(1)
    chosen = number[(nearest[nearest] == number) & (number < nearest) & ~alone & (similarity > _NEVER)]
    chosen = chosen[similarity[chosen].argsort(descending=True, stable=True)]
    return [(int(one), int(nearest[one]), float(similarity[one])) for one in chosen]


def mutual_people(centres: Tensor, faces: Faces) -> list[tuple[int, int, float]]:
    """Identities of the training set and images of ``faces`` that are each other's nearest, with their similarity, the
    nearest first."""
    best, image = torch.full((len(centres),), _NEVER), torch.zeros(len(centres), dtype=torch.int64)
    nearest = torch.empty(len(faces.embeddings), dtype=torch.int64)
    for block, rows in faces.blocks(len(centres), f"comparing with the {faces.part.title}"):
        similarity = rows @ centres.T
        similarity[torch.from_numpy(~faces.usable[block])] = _NEVER
        nearest[block] = similarity.argmax(1)
        here, place = similarity.max(0)
        image = torch.where(here > best, place + block.start, image)
        best = torch.maximum(best, here)
    chosen = torch.nonzero((nearest[image] == torch.arange(len(centres))) & (best > _NEVER))[:, 0]
    chosen = chosen[best[chosen].argsort(descending=True, stable=True)]
    return [(int(one), int(image[one]), float(best[one])) for one in chosen]
