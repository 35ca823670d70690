"""Embeddings of the images of a part, and comparisons of them with identities."""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn.functional import normalize

from facerec.config.trained import build_trained
from facerec.data.loading import ImageDataset, image_loader, normalise
from facerec.data.source import LabelledSource
from facerec.deploy import in_format
from facerec.doctor.survey import Part

_BLOCK = 1 << 26  # elements of a matrix of similarities that is computed at once
_NEVER = -2.0  # below any cosine


@dataclass(frozen=True, eq=False)
class Faces:
    """A part with the ``embeddings`` ``(N, D)`` of its images and the ``mean`` ``(D,)`` over all faces."""

    part: Part
    embeddings: np.ndarray
    mean: Tensor

    def rows(self, index: np.ndarray | slice) -> Tensor:
        """Return the embeddings at ``index`` minus the mean, scaled to length 1."""
        return normalize(torch.from_numpy(np.asarray(self.embeddings[index], np.float32)) - self.mean)

    def blocks(self, columns: int, what: str) -> Iterator[tuple[slice, Tensor]]:
        """Yield all rows in blocks small enough to compare with ``columns`` vectors, with a progress bar ``what``."""
        size = max(1, _BLOCK // columns)
        starts = range(0, len(self.embeddings), size)
        for start in track(starts, what, console=Console(file=sys.stderr), transient=True):
            block = slice(start, start + size)
            yield block, self.rows(block)

    @property
    def train(self) -> LabelledSource:
        assert self.part.train is not None
        return self.part.train

    @property
    def counts(self) -> np.ndarray:
        """Number of usable images per identity."""
        return np.bincount(self.train.labels[self.part.usable], minlength=self.train.num_identities)


def sum_by_identity(faces: Faces, chosen: np.ndarray | None = None) -> Tensor:
    """Sum the embeddings of each identity, ``(K, D)``, over its usable images, or only the ``chosen`` ones."""
    used = torch.from_numpy(faces.part.usable if chosen is None else chosen & faces.part.usable)
    labels = torch.from_numpy(faces.train.labels)
    sums = torch.zeros(faces.train.num_identities, faces.embeddings.shape[1])
    for block, rows in faces.blocks(faces.embeddings.shape[1], "adding up identities"):
        sums.index_add_(0, labels[block], rows * used[block, None])
    return sums


def own_similarity(faces: Faces, sums: Tensor) -> float:
    """Measure how similar an identity is to itself.

    Returns the median cosine between the centres of the two halves of an identity's images, over the identities with at
    least four images; NaN if there is none.
    """
    labels = faces.train.labels
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(faces.train.num_identities))
    is_even = np.empty(len(labels), bool)
    is_even[order] = (np.arange(len(labels)) - starts[labels[order]]) % 2 == 0
    half = sum_by_identity(faces, is_even)
    similarities = (normalize(half) * normalize(sums - half)).sum(1).numpy()[faces.counts >= 4]
    return float(np.median(similarities)) if len(similarities) else float("nan")


class Embedder:
    """A trained network, on the GPU if there is one.

    Args:
        network: maps normalised images ``(B, 3, H, W)`` to embeddings ``(B, D)``.
        image_size: (height, width) of its input.
    """

    def __init__(self, network: nn.Module, image_size: tuple[int, int]) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = in_format(network.eval().to(self.device))
        self.image_size = image_size

    @torch.inference_mode()
    def embed(self, part: Part, num_workers: int) -> np.ndarray:
        """Compute embeddings of length 1, float16 ``(N, D)`` in a temporary file; those of unreadable images are zero.

        A progress bar is shown on standard error.
        """
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


def load_embedder(checkpoint: Path, trust: bool = False) -> Embedder:
    """Load the network of a checkpoint, at the image size at which it was trained; ``trust``: as in `build_trained`."""
    backbone, cfg, _ = build_trained(checkpoint, trust=trust)
    return Embedder(backbone, (cfg.data.image_size[0], cfg.data.image_size[1]))


def _table(rows: int, columns: int) -> np.ndarray:
    # Five million embeddings take 5 GB, hence a file; the operating system deletes it after its last use.
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float16, "w+", shape=(max(rows, 1), columns))[:rows]


def label_gaps(train: Faces, sums: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Compare each image with the nearest other identity and with the other images of its own identity.

    ``sums`` are those of `sum_by_identity`. Returns the cosine to the nearest centre of another identity minus the
    cosine to the centre of the identity's other images, float ``(N,)``, NaN if there are none; and the nearest other
    identity's label, int64 ``(N,)``.
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
    comparable = train.part.usable & (train.counts[train.train.labels] > 1)
    return np.where(comparable, gaps.numpy(), np.nan), nearest.numpy()


def mutual_neighbours(centres: Tensor, counts: np.ndarray) -> list[tuple[int, int, float]]:
    """Return pairs of identities that are each other's nearest, with their cosine, the most similar first.

    Identities with fewer than two images are left out.
    """
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
    """Return pairs of a training identity and an image of ``faces`` that are each other's nearest, with their cosine.

    ``centres`` ``(K, D)`` are those of the training identities. The most similar pair is first.
    """
    best, image = torch.full((len(centres),), _NEVER), torch.zeros(len(centres), dtype=torch.int64)
    nearest = torch.empty(len(faces.embeddings), dtype=torch.int64)
    for block, rows in faces.blocks(len(centres), f"comparing with the {faces.part.title}"):
        similarity = rows @ centres.T
        similarity[torch.from_numpy(~faces.part.usable[block])] = _NEVER
        nearest[block] = similarity.argmax(1)
        in_block, row = similarity.max(0)
        image = torch.where(in_block > best, row + block.start, image)
        best = torch.maximum(best, in_block)
    chosen = torch.nonzero((nearest[image] == torch.arange(len(centres))) & (best > _NEVER))[:, 0]
    chosen = chosen[best[chosen].argsort(descending=True, stable=True)]
    return [(int(one), int(image[one]), float(best[one])) for one in chosen]
