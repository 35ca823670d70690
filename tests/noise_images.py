"""Images of noise, a dataset of them, and whether two datasets have the same batches."""

from pathlib import Path

import numpy as np
import torch
from counting_source import CountingSource

from facerec.data.loading import ImageDataset, IndexedImages, image_loader

SIZE = (4, 6)


class Noise(CountingSource):
    """Images of noise, of which each is another."""

    def load(self, index: int) -> np.ndarray:
        self.loads[index] += 1
        return np.random.default_rng(index).integers(0, 256, (8, 12, 3)).astype(np.uint8)


def dataset(source: CountingSource | None = None) -> ImageDataset:
    source = source or Noise(7)
    return ImageDataset(source, np.arange(len(source)) * 10, SIZE)


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def assert_same_batches(ours: IndexedImages, theirs: ImageDataset) -> None:
    order = np.random.default_rng(0).permutation(len(theirs))
    pairs = (image_loader(images, 3, 0, sampler=order.tolist()) for images in (ours, theirs))
    for (images, targets), (same_images, same_targets) in zip(*pairs, strict=True):
        assert torch.equal(images, same_images) and torch.equal(targets, same_targets)
        assert (images.dtype, targets.dtype) == (torch.uint8, torch.int64)
