import torch

from facerec.frontal import borders as module
from facerec.frontal.borders import disguise

FRONTAL = torch.tensor([True, False] * 8)


def images_and_borders():
    """One shade all over; frontal images have a border on top, profile ones on the left."""
    borders = torch.zeros(16, 24, 24, dtype=torch.bool)
    borders[FRONTAL, :6] = True
    borders[~FRONTAL, :, :8] = True
    images = torch.full((16, 3, 24, 24), 0.8).masked_fill(borders[:, None], 0.0)
    return images, borders


def test_every_image_wears_the_borders_of_both_poses(monkeypatch):
    monkeypatch.setattr(module, "_moved", lambda images, generator: images)
    monkeypatch.setattr(module, "_QUALITY", {})
    monkeypatch.setattr(module, "flip_at_random", lambda images, seed: images)
    both = torch.zeros(24, 24, dtype=torch.bool)
    both[:6], both[:, :8] = True, True
    for image in disguise(*images_and_borders(), FRONTAL, (1, 0, 0)):
        shades = image[:, both]
        assert (image[:, ~both] == 0.8).all()
        assert (shades == shades[:, :1]).all() and shades.abs().max() <= 0.5  # one colour, which says nothing


def test_what_moves_in_from_outside_is_of_the_borders_colour(monkeypatch):
    monkeypatch.setattr(module, "_QUALITY", {})
    no_borders = torch.zeros(16, 24, 24, dtype=torch.bool)
    disguised = disguise(torch.full((16, 3, 24, 24), 0.9), no_borders, FRONTAL, (1, 0, 0))
    assert disguised.min() >= -0.5  # black would be -1
    shaded = [image.flatten(1).T.round(decimals=3).unique(dim=0) for image in disguised]
    assert max(map(len, shaded)) > 1 and all((colours == 0.9).all(dim=1).any() for colours in shaded)


def test_it_follows_from_its_seed():
    images, borders = images_and_borders()
    first, again, other = (disguise(images, borders, FRONTAL, (1, 0, step)) for step in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == images.shape and first.abs().max() <= 1


def test_images_move_by_their_own_numbers_and_within_the_limits():
    # A dot in the centre shows the shift alone.
    dots = torch.full((64, 4, 41, 41), -1.0)
    dots[:, :, 20, 20] = 1.0
    moved = module._moved(dots, torch.Generator().manual_seed(0))[:, 0] + 1
    places = torch.stack([(image / image.sum() * torch.arange(41.0)).sum() for image in moved])
    assert (places - 20).abs().max() <= 0.1 * 41 + 1e-3 and places.std() > 1


def test_nothing_but_numbers_comes_from_the_cpu():
    images, borders = images_and_borders()
    there = disguise(images.to("meta"), borders.to("meta"), FRONTAL, (1, 0, 0))
    assert there.device.type == "meta" and there.shape == images.shape
