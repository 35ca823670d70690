"""Images and masks that are decoded once and kept in memory: a few hundred of some hundred pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from facerec.data.augmentation.random_numbers import Transform
from facerec.data.augmentation.with_masks import move_mask
from facerec.data.decode import resize
from facerec.data.fundus.masked_source import CUP, MaskedSource, read_pair
from facerec.data.loading import IndexedImages, in_workers

_CHUNK = 8  # images that a worker decodes at a time


class MemoryImages(IndexedImages):
    """Images in memory.

    Args:
        pixels: uint8 RGB ``(N, H, W, 3)``.
        targets: one per image: its mask, uint8 ``(N, H, W)``, or its number ``(N,)``.
    """

    needs_workers = False

    def __init__(self, pixels: np.ndarray, targets: np.ndarray) -> None:
        self.pixels, self.targets = pixels, targets
        self.image_size = pixels.shape[1:3]

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.pixels[indices]), torch.from_numpy(self.targets[indices])


class LoadedPairs:
    """All images of ``source`` at the network's size, and their masks at their native size.

    Images are resized as for recognition, with antialiasing. Raises `InputError` for the first image or mask that is
    unreadable, and for a mask of another size than its image.

    Args:
        source: each image and mask is read once, with a progress bar on standard error if that takes long.
        image_size: (height, width).
        num_workers: number of workers that decode.
    """

    def __init__(self, source: MaskedSource, image_size: tuple[int, int], num_workers: int = 0) -> None:
        self.source, self._size = source, image_size
        self.pixels = np.empty((len(source), *image_size, 3), np.uint8)
        self._masks: list[bytes] = []
        with tqdm(desc="decoding images and masks", total=len(source), unit=" images", delay=2) as bar:
            for pixels, masks in in_workers(_Decoding(source, image_size), range(len(source)), _CHUNK, num_workers):
                self.pixels[len(self._masks) : len(self._masks) + len(masks)] = pixels
                self._masks += masks
                bar.update(len(masks))

    def mask(self, index: int) -> np.ndarray:
        """Return the mask of image ``index``, uint8 ``(H, W)`` in its native size."""
        mask = cv2.imdecode(np.frombuffer(self._masks[index], np.uint8), cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        return mask

    def resized_masks(self, indices: np.ndarray) -> np.ndarray:
        """Return the masks of these images at the network's size, each pixel from the nearest, uint8 ``(N, H, W)``."""
        resized = np.empty((len(indices), *self._size), np.uint8)
        for row, index in zip(resized, indices.tolist(), strict=True):
            row[:] = cv2.resize(self.mask(index), self._size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return resized

    def without_cup(self) -> int:
        """Return the number of masks without a cup."""
        return sum(not (self.mask(index) == CUP).any() for index in range(len(self.source)))


@dataclass(frozen=True)
class MaskedSet:
    """Images to evaluate on, by a name.

    Attributes:
        name: its name in results.
        source: its images, with their domains and names.
        images: batches of them with their indices.
        loaded: all decoded pairs.
        positions: where in them its images are, int64 ``(N,)``.
        transforms: which change the images; the masks move with them.
    """

    name: str
    source: MaskedSource
    images: MemoryImages
    loaded: LoadedPairs
    positions: np.ndarray
    transforms: dict[str, Transform]

    @property
    def num_images(self) -> int:
        return len(self.positions)

    def mask(self, index: int) -> np.ndarray:
        """Return the mask of image ``index``, uint8 ``(H, W)`` in its native size, moved as the image is."""
        mask = self.loaded.mask(int(self.positions[index]))
        return move_mask(mask, self.transforms, index, self.name, self.images.image_size) if self.transforms else mask

    def fingerprint(self) -> str:
        """Return a short hexadecimal digest of the images' names, order and masks' names."""
        return self.source.fingerprint()


class _Decoding:
    """Reads pairs in a worker: images at the network's size, and masks as PNG files."""

    def __init__(self, source: MaskedSource, image_size: tuple[int, int]) -> None:
        self.source, self.image_size = source, image_size

    def __call__(self, indices: list[int]) -> tuple[np.ndarray, list[bytes]]:
        pixels, masks = np.empty((len(indices), *self.image_size, 3), np.uint8), []
        for index, row in zip(indices, pixels, strict=True):
            image, mask = read_pair(self.source, index)
            resize(image, row)
            masks.append(cv2.imencode(".png", mask)[1].tobytes())
        return pixels, masks
