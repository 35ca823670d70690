"""The random numbers of transforms: drawn per training batch, or fixed for each image of a source."""

import zlib
from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Transform(Protocol):
    """The interface of a transform, see `facerec.data.augmentation`."""

    num_random: int

    def __call__(self, images: Tensor, random: Tensor) -> Tensor: ...


def augment_batch(images: Tensor, transforms: Mapping[str, Transform], seed: tuple[int, ...]) -> Tensor:
    """Apply each of the named ``transforms`` to a training batch.

    The random numbers are determined by ``seed`` and the names, on every device and after a resume.
    """
    for transform, random in with_numbers(len(images), transforms, seed):
        images = transform(images, random.to(images.device, non_blocking=True))
    return images


def augment_images(images: Tensor, transforms: Mapping[str, Transform], indices: Tensor, source: str) -> Tensor:
    """Apply each of the named ``transforms`` to the images of ``source`` at ``indices``.

    An image is changed in the same way in every batch and every run.
    """
    for transform, random in with_fixed_numbers(indices, transforms, source):
        images = transform(images, random.to(images.device, non_blocking=True))
    return images


def with_numbers(
    count: int, transforms: Mapping[str, Transform], seed: tuple[int, ...]
) -> Iterator[tuple[Transform, Tensor]]:
    """Yield each transform with the random numbers of a training batch of ``count`` images, ``(B, num_random)``."""
    for name, transform in transforms.items():
        random = torch.Generator().manual_seed(entropy_of((*seed, _number(name))))
        yield transform, torch.rand((count, transform.num_random), generator=random)


def entropy_of(seed: tuple[int, ...]) -> int:
    """Mix the numbers of a seed into one of 32 bits."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


def with_fixed_numbers(
    indices: Tensor, transforms: Mapping[str, Transform], source: str
) -> Iterator[tuple[Transform, Tensor]]:
    """Yield each transform with the random numbers of the images of ``source`` at ``indices``, ``(B, num_random)``."""
    for name, transform in transforms.items():
        yield transform, numbers_of(indices, _number(f"{source}/{name}"), transform.num_random)


def numbers_of(indices: Tensor, seed: int, count: int) -> Tensor:
    """Compute uniform float32 numbers in [0, 1), ``(B, count)``, each a hash of the image's index, its column and
    ``seed``: splitmix64 (Steele, Lea and Flood, 2014) with a counter instead of the state."""
    counters = indices.cpu().numpy().astype(np.uint64)[:, None] * np.uint64(count) + np.arange(count, dtype=np.uint64)
    mixed = _mixed(counters + _mixed(np.array([seed], np.uint64)))
    return torch.from_numpy((mixed >> np.uint64(40)).astype(np.float32) / np.float32(2**24))


def _mixed(x: np.ndarray) -> np.ndarray:
    x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _number(name: str) -> int:
    return zlib.crc32(name.encode())
