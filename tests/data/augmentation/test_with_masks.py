"""A mask goes where its image goes."""

import math

import cv2
import numpy as np
import pytest
import torch
from says import refuses

from facerec.data.augmentation.affine import Rotation, Scale, Shear, Translation
from facerec.data.augmentation.by_torchvision import Torchvision
from facerec.data.augmentation.erasing import Erasing
from facerec.data.augmentation.jitter import Jitter
from facerec.data.augmentation.random_numbers import augment_batch, augment_images
from facerec.data.augmentation.scale_crop import ScaleCrop
from facerec.data.augmentation.with_masks import augment_batch_with_masks, check_transforms_with_masks, move_mask

MOVING = {
    "rotation": Rotation(40),
    "shear": Shear(),
    "scale": Scale(),
    "translation": Translation(),
    "crop": ScaleCrop(),
}
LEVELS = torch.tensor([-1.0, 0.0, 1.0])


def discs(count: int = 6, side: int = 48) -> torch.Tensor:
    """Masks of discs with cups, each elsewhere, uint8 (count, side, side)."""
    at = torch.arange(side) + 0.5
    places = torch.rand(count, 2, generator=torch.Generator().manual_seed(0)) * 12 + 18
    square = (at[None, :, None] - places[:, :1, None]) ** 2 + (at[None, None, :] - places[:, 1:, None]) ** 2
    return ((square < 14**2).int() + (square < 7**2).int()).to(torch.uint8)


@pytest.mark.parametrize("name", MOVING)
def test_a_mask_and_a_picture_of_it_are_moved_alike(name):
    masks = discs()
    images = LEVELS[masks.long()][:, None].expand(-1, 3, -1, -1)
    images, moved = augment_batch_with_masks(images, masks, {name: MOVING[name]}, (1, 2, 3))
    seen = ((images[:, 0] + 1).round()).to(torch.uint8)
    assert moved.dtype == torch.uint8 and not torch.equal(moved, masks)
    assert (seen == moved).float().mean() > 0.97  # but for the outlines, where bilinear pixels are between
    inside = torch.nn.functional.max_pool2d(-images[:, :1].abs(), 3, 1, 1)[:, 0] == 0
    assert torch.equal(seen[inside & (images[:, 0] == 0)], moved[inside & (images[:, 0] == 0)])


def test_what_comes_from_outside_is_background():
    masks = torch.full((1, 8, 8), 2, dtype=torch.uint8)
    moved = Translation(0.25).move_masks(masks, torch.tensor([[0.9999999, 0.5]]))  # two columns to the right
    assert moved[0, 3].tolist() == [0, 0, 2, 2, 2, 2, 2, 2]


def test_the_images_are_those_of_an_augmentation_without_masks():
    images = torch.rand(6, 3, 48, 48) * 2 - 1
    transforms = {**MOVING, "jitter": Jitter(), "erasing": Erasing()}
    changed, _ = augment_batch_with_masks(images, discs(), transforms, (4, 5))
    assert torch.equal(changed, augment_batch(images, transforms, (4, 5)))


def test_colours_leave_masks_alone():
    masks = discs()
    images = torch.rand(6, 3, 48, 48) * 2 - 1
    assert torch.equal(augment_batch_with_masks(images, masks, {"jitter": Jitter()}, (1,))[1], masks)


def test_the_mask_of_one_image_moves_as_it_does_in_a_batch():
    masks = discs()
    images = LEVELS[masks.long()][:, None].expand(-1, 3, -1, -1)
    transforms = {"rotation": Rotation(40), "jitter": Jitter(0, 0, 0, 0)}
    seen = (augment_images(images, transforms, torch.arange(6), "north")[:, 0] + 1).round()
    for index in range(6):
        moved = move_mask(masks[index].numpy(), transforms, index, "north", (48, 48))
        assert (moved == seen[index].numpy()).mean() > 0.97 and moved.dtype == np.uint8
    elsewhere = move_mask(masks[0].numpy(), transforms, 0, "south", (48, 48))
    assert (elsewhere != move_mask(masks[0].numpy(), transforms, 0, "north", (48, 48))).any()


AFFINE = {
    "rotation": lambda u: (_turned(math.radians((2 * u[0] - 1) * 40)), (0, 0)),
    "shear": lambda u: ([[1, math.tan(math.radians((2 * u[0] - 1) * 15))], [0, 1]], (0, 0)),
    "scale": lambda u: (np.eye(2) / (1 + (2 * u[0] - 1) * 0.2), (0, 0)),
    "translation": lambda u: (np.eye(2), ((2 * u[0] - 1) * 0.1, (2 * u[1] - 1) * 0.1)),
}


def _turned(angle: float) -> list[list[float]]:
    return [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]


@pytest.mark.parametrize("name", AFFINE)
@pytest.mark.parametrize("size", [(48, 48), (30, 90)])
def test_a_mask_of_another_size_than_its_image_is_moved_by_one_grid_with_it(name, size):
    """By hand, pixel by pixel: where in the image it is, where that comes from, and what the mask has there."""
    (height, width), (rows, columns) = size, (60, 80)
    mask = np.zeros((rows, columns), np.uint8)
    mask[20:50, 10:50], mask[25:35, 20:40] = 1, 2
    random = np.array([[0.95, 0.15][: MOVING[name].num_random]], np.float32)
    moved = MOVING[name].move_masks(torch.from_numpy(mask)[None], torch.from_numpy(random), size)[0].numpy()
    matrix, (right, down) = AFFINE[name](random[0])
    expected = np.zeros_like(mask)
    for y, x in np.ndindex(rows, columns):
        seen = (
            (x + 0.5) * width / columns - width / 2 - right * width,
            (y + 0.5) * height / rows - height / 2 - down * height,
        )
        u, v = np.array(matrix) @ seen
        column, row = math.floor((u + width / 2) * columns / width), math.floor((v + height / 2) * rows / height)
        if 0 <= row < rows and 0 <= column < columns:
            expected[y, x] = mask[row, column]
    assert (moved == expected).mean() > 0.998  # but for ties between two pixels, and rounding
    assert (moved != mask).mean() > 0.01


def test_a_photograph_that_is_not_square_and_its_mask_are_moved_alike():
    mask = np.zeros((60, 120), np.uint8)
    mask[10:50, 30:90], mask[20:40, 50:80] = 1, 2
    small = torch.from_numpy(cv2.resize(mask, (64, 64), interpolation=cv2.INTER_NEAREST_EXACT))
    image = LEVELS[small.long()][None, None].expand(-1, 3, -1, -1)
    for name in AFFINE:
        seen = (augment_images(image, {name: MOVING[name]}, torch.tensor([4]), "west")[0, 0] + 1).round().numpy()
        moved = cv2.resize(
            move_mask(mask, {name: MOVING[name]}, 4, "west", (64, 64)), (64, 64), interpolation=cv2.INTER_NEAREST_EXACT
        )
        assert (moved == seen).mean() > 0.95, name


def test_a_transform_that_may_move_an_image_alone_is_refused():
    check_transforms_with_masks("train_augmentation", {**MOVING, "jitter": Jitter(), "erasing": Erasing()})
    with refuses("train_augmentation.flip", "mask", "keeps_positions"):
        check_transforms_with_masks("train_augmentation", {"flip": Torchvision(lambda image: image.flip(-1))})
