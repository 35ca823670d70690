import numpy as np
import torch
from image_files import plain

from facerec.frontal.borders import border_mask, covered, partners


def face(side: int = 32) -> np.ndarray:
    return plain((200, 150, 120), (side, side))


def test_a_black_edge_is_a_border_and_two_pixels_more():
    image = face()
    image[:, :5] = 0
    expected = np.zeros((32, 32), bool)
    expected[:, :7] = True
    assert np.array_equal(border_mask(image), expected)


def test_a_dark_eye_inside_is_none_and_nor_is_a_light_edge():
    image = face()
    image[10:14, 10:14] = 0
    assert not border_mask(image).any()


def test_light_of_jpeg_in_the_border_does_not_matter_and_corners_count():
    image = face()
    image[np.add.outer(np.arange(32), np.arange(32)) < 8] = (9, 0, 14)
    mask = border_mask(image)
    assert mask[0, 0] and mask[4, 3] and not mask[31, 31] and not mask[16, 16]


def test_a_covered_border_is_grey_and_the_face_is_as_it_was():
    image = face(64)
    image[:16] = 0
    pixels, border = covered(image, 32)
    assert pixels.shape == (32, 32, 3) and border[:10].all() and not border[10:].any()
    assert (pixels[:10] == 128).all() and (pixels[10:] == (200, 150, 120)).all()


def test_a_partner_has_the_other_pose():
    is_frontal = torch.tensor([True, False, True, True, False])
    for seed in range(20):
        partner = partners(is_frontal, torch.Generator().manual_seed(seed))
        assert (is_frontal[partner] != is_frontal).all()


def test_without_the_other_pose_an_image_is_its_own_partner():
    assert partners(torch.ones(3, dtype=torch.bool), torch.Generator()).tolist() == [0, 1, 2]
