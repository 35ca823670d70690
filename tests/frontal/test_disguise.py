import torch

from facerec.frontal import disguise as module
from facerec.frontal.disguise import disguise

FRONTAL = torch.tensor([True, False] * 8)


def images_and_borders():
    """One shade all over; frontal images have a border on top, profile ones on the left."""
    borders = torch.zeros(16, 24, 24, dtype=torch.bool)
    borders[FRONTAL, :6] = True
    borders[~FRONTAL, :, :8] = True
    images = torch.full((16, 3, 24, 24), 0.8).masked_fill(borders[:, None], 0.0)
    return images, borders


def test_every_image_wears_the_borders_of_both_poses(monkeypatch):
    monkeypatch.setattr(module, "_PLACE", {})
    monkeypatch.setattr(module, "_QUALITY", {})
    monkeypatch.setattr(module, "flip_at_random", lambda images, seed: images)
    disguised = disguise(*images_and_borders(), FRONTAL, (1, 0, 0))
    expected = torch.full((24, 24), 0.8)
    expected[:6], expected[:, :8] = 0.0, 0.0
    assert (disguised == expected).all()


def test_what_moves_in_from_outside_is_grey_like_a_border():
    no_borders = torch.zeros(16, 24, 24, dtype=torch.bool)
    disguised = disguise(torch.full((16, 3, 24, 24), 0.9), no_borders, FRONTAL, (1, 0, 0))
    assert (disguised == 0).any() and disguised.min() > -0.6  # black would be -1; jitter darkens 0.9


def test_it_follows_from_its_seed():
    images, borders = images_and_borders()
    first, again, other = (disguise(images, borders, FRONTAL, (1, 0, step)) for step in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == images.shape and first.abs().max() <= 1
