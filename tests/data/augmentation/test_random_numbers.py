"""What happens to an image follows from what names it, and from nothing else."""

import numpy as np
import torch
from says import every

from facerec.data.augmentation.affine import Rotation
from facerec.data.augmentation.erasing import Erasing
from facerec.data.augmentation.jitter import Jitter
from facerec.data.augmentation.random_numbers import augment_batch, augment_images, numbers_of

TRANSFORMS = {"rotation": Rotation(), "erasing": Erasing(), "jitter": Jitter()}
IMAGES = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_a_batch_is_changed_by_its_seed_alone():
    first = augment_batch(IMAGES, TRANSFORMS, (1, 2, 3, 0))
    torch.manual_seed(99)
    assert torch.equal(augment_batch(IMAGES, TRANSFORMS, (1, 2, 3, 0)), first)
    assert every(not torch.equal(augment_batch(IMAGES, TRANSFORMS, (1, 2, 3, rank)), first) for rank in (1, 2))


def test_each_image_of_a_batch_is_changed_in_its_own_way():
    same = IMAGES[:1].expand(12, 3, 8, 8)
    changed = augment_batch(same, {"rotation": Rotation()}, (1, 2))
    assert len({tuple(image.flatten().tolist()) for image in changed}) == 12


def test_a_second_transform_leaves_the_numbers_of_the_first_alone():
    white = torch.ones(12, 3, 8, 8)
    erased = augment_batch(white, {"erasing": Erasing()}, (5,))
    jittered = augment_batch(white, {"jitter": Jitter(0, 0, 0, 0), "erasing": Erasing()}, (5,))
    assert torch.equal(erased, jittered)


def test_nothing_is_changed_without_transforms():
    assert augment_batch(IMAGES, {}, (1,)) is IMAGES and augment_images(IMAGES, {}, torch.arange(12), "lfw") is IMAGES


def test_a_test_image_is_changed_in_the_same_way_in_every_batch():
    whole = augment_images(IMAGES, TRANSFORMS, torch.arange(12), "lfw")
    parts = [augment_images(IMAGES[rows], TRANSFORMS, rows, "lfw") for rows in (torch.tensor([7, 3]), torch.arange(5))]
    torch.testing.assert_close(parts[0], whole[[7, 3]])
    torch.testing.assert_close(parts[1], whole[:5])
    assert not torch.equal(augment_images(IMAGES, TRANSFORMS, torch.arange(12), "cfp_ff"), whole)


def test_numbers_are_uniform_and_independent_of_each_other():
    numbers = numbers_of(torch.arange(20_000), seed=3, count=4).numpy().astype(np.float64)
    assert numbers.min() >= 0 and numbers.max() < 1
    counts = np.stack([np.histogram(column, 20, (0, 1))[0] for column in numbers.T])
    assert abs(counts - 1000).max() < 5 * np.sqrt(1000)
    neighbours = np.concatenate([numbers[:-1], numbers[1:]], axis=1)
    correlations = np.corrcoef(neighbours.T) - np.eye(8)
    same = [(i, i) for i in range(8)]
    assert abs(np.delete(correlations, [8 * i + j for i, j in same])).max() < 5 / np.sqrt(20_000)


def test_other_seeds_and_indices_give_other_numbers():
    found = torch.cat([numbers_of(torch.arange(100), seed, 2) for seed in (0, 1, 2**32 - 1)]).flatten()
    assert len(found.unique()) > 595
