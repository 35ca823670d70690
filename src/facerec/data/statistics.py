"""What the images of a training set look like on average, position by position."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from facerec.data.loading import ImageDataset, PackedDataset, image_loader
from facerec.files import replacing


def position_statistics(
    images: ImageDataset | PackedDataset, fingerprint: str, mirrored: bool, folder: Path, num_workers: int = 0
) -> Tensor:
    """Mean and standard deviation of the normalised images at each position, ``(2, 3, H, W)`` float32.

    They are computed once, with a progress bar on standard error, and kept as ``folder/position-FINGERPRINT-HxW.npy``.

    Args:
        images: of the training set, their targets are not read.
        fingerprint: of the images, names the file that is kept.
        mirrored: half of the images are mirrored in training: the maps are those of both halves.
        folder: where the file is kept; made when it is missing.
        num_workers: loading processes.
    """
    height, width = images.image_size
    path = folder / f"position-{fingerprint}-{height}x{width}{'-mirrored' if mirrored else ''}.npy"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        statistics = _mean_and_deviation(images, mirrored, num_workers)
        with replacing(path) as partial, partial.open("wb") as file:
            np.save(file, statistics)
    return torch.from_numpy(np.load(path))


def _mean_and_deviation(images: ImageDataset | PackedDataset, mirrored: bool, num_workers: int) -> np.ndarray:
    total = squares = torch.zeros(())
    count = 0
    # A generator of its own: a run must not depend on whether the maps were kept from another.
    loader = image_loader(images, 256, num_workers, generator=torch.Generator())
    for batch, _ in tqdm(loader, "mean and deviation of the training images", leave=False):
        pixels = batch.double().sub_(127.5).div_(127.5)  # float64, since a sum over millions of images needs it
        total, squares, count = total + pixels.sum(0), squares + pixels.square().sum(0), count + len(pixels)
    mean, square = total / count, squares / count
    if mirrored:
        mean, square = (mean + mean.flip(1)) / 2, (square + square.flip(1)) / 2
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    return torch.stack((mean, deviation)).permute(0, 3, 1, 2).float().numpy()
