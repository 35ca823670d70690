"""Who is nearest to whom, by cosine, in blocks."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from facerec.doctor.faces import Faces

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
