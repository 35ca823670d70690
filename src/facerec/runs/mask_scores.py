"""The file of scores of a segmentation: of each image of each set, by which runs are compared image by image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facerec.data.fundus.memory_images import MaskedSet
from facerec.files import replacing
from facerec.runs.scores import read_sets
from facerec.segmentation.mask_results import MaskResult

_IMAGES = "images"


@dataclass(frozen=True)
class MaskScores:
    """What is kept of the N images of one set.

    Attributes:
        images: their names, text ``(N,)``.
        numbers: of each, ``(N,)``, by the names of `facerec.segmentation.mask_protocols.ImageScore`.
    """

    images: np.ndarray
    numbers: dict[str, np.ndarray]


def save_mask_scores(path: Path, results: Mapping[str, MaskResult], sets: Sequence[MaskedSet]) -> None:
    """Write an .npz file with ``NAME/images`` and ``NAME/NUMBER`` for each set and each number of its images."""
    arrays: dict[str, np.ndarray] = {}
    for each in sets:
        names = [each.source.name(index) for index in range(each.num_images)]
        kept = {_IMAGES: np.array(names), **results[each.name].arrays()}
        arrays |= {f"{each.name}/{key}": value for key, value in kept.items()}
    with replacing(path) as partial:
        np.savez_compressed(partial, **arrays)  # pyright: ignore[reportArgumentType]


def load_mask_scores(path: Path) -> dict[str, MaskScores]:
    """Return what `save_mask_scores` wrote, by set; raise `InputError` if the file is missing or damaged."""
    return read_sets(path, _read)


def _read(arrays: dict[str, np.ndarray], name: str) -> MaskScores:
    """Return the arrays of set ``name``; raise `ValueError` if they do not fit each other."""
    inside = {key.rpartition("/")[2]: value for key, value in arrays.items() if key.rpartition("/")[0] == name}
    images = inside.pop(_IMAGES)
    for key, value in inside.items():
        if value.shape != images.shape or value.ndim != 1 or value.dtype.kind not in "fb":
            raise ValueError(f"{name}/{key} is {value.dtype} of shape {value.shape}, for images {images.shape}")
    return MaskScores(images, inside)
