"""Statistics of a training set's images at each position."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from facerec.data.cache import DAMAGED
from facerec.data.loading import IndexedImages, image_loader
from facerec.data.whole_arrays import read_whole
from facerec.files import replacing


def position_statistics(
    images: IndexedImages, fingerprint: str, flip: bool, folder: Path, num_workers: int = 0
) -> Tensor:
    """Return mean and standard deviation of the normalised images at each position, float32 ``(2, 3, H, W)``.

    They are computed once, with a progress bar on standard error, and cached as
    ``folder/position-FINGERPRINT-HxW.npz``; a damaged file is made again.

    Args:
        images: the training set; its targets are not read.
        fingerprint: digest of the images, part of the file's name.
        flip: average over the images and their horizontal flips, as in training.
        folder: folder of the cache; created if it is missing.
        num_workers: number of workers.
    """
    height, width = images.image_size
    path = folder / f"position-{fingerprint}-{height}x{width}{'-mirrored' if flip else ''}.npz"
    with suppress(*DAMAGED):
        return torch.from_numpy(read_whole(path)["statistics"])
    statistics = np.ascontiguousarray(_compute(images, flip, num_workers))
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, statistics=statistics)
    return torch.from_numpy(statistics)


def _compute(images: IndexedImages, flip: bool, num_workers: int) -> np.ndarray:
    total = squares = torch.zeros(())
    count = 0
    # A separate generator: a run must not depend on whether the maps were cached by another.
    loader = image_loader(images, 256, num_workers, generator=torch.Generator())
    for batch, _ in tqdm(loader, "statistics of the training images", leave=False):
        pixels = batch.double().sub_(127.5).div_(127.5)  # float64, since a sum over millions of images needs it
        total, squares, count = total + pixels.sum(0), squares + pixels.square().sum(0), count + len(pixels)
    mean, square = total / count, squares / count
    if flip:
        mean, square = (mean + mean.flip(1)) / 2, (square + square.flip(1)) / 2
    std = (square - mean.square()).clamp(min=0).sqrt()
    return torch.stack((mean, std)).permute(0, 3, 1, 2).float().numpy()
