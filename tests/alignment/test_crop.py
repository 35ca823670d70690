import cv2
import numpy as np
import pytest
from says import refuses

from facerec.alignment.crop import parse_crop
from facerec.alignment.placement import template, transform
from facerec.alignment.warp import warp
from facerec.errors import InputError


def test_a_crop_is_what_cutting_out_and_resizing_gives() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (250, 250, 3)).astype(np.uint8)
    picture = cv2.GaussianBlur(picture, (0, 0), 3)
    placement = parse_crop("58,51,134,134").place("a.jpg", picture, 112)
    assert placement.residual is None and placement.points is None
    cut = cv2.resize(picture[51:185, 58:192], (112, 112), interpolation=cv2.INTER_LINEAR)
    difference = np.abs(warp(picture, placement.matrix, 112).astype(int) - cut)
    assert difference[1:-1, 1:-1].max() <= 1  # at its edge the resize does not see the pixels outside


def test_the_crop_of_lfw_takes_its_mean_eyes_to_the_template() -> None:
    matrix = parse_crop("lfw").place("a.jpg", np.zeros((250, 250, 3), np.uint8), 112).matrix
    eyes = transform(matrix, np.array([[104.0, 113], [146, 113]]))
    np.testing.assert_allclose(eyes, template(112)[:2], atol=0.3)


def test_a_crop_beyond_the_image_is_refused() -> None:
    with refuses("crop", "134", "(58, 51)", "160x112", error=InputError):
        parse_crop("lfw").place("a.jpg", np.zeros((112, 160, 3), np.uint8), 112)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("1,2,3", ("crop=1,2,3", "LEFT,TOP,WIDTH,HEIGHT", "lfw")),
        ("-1,2,3,3", ("crop=-1,2,3,3", "LEFT,TOP,WIDTH,HEIGHT")),
        ("1,2,30,40", ("crop=1,2,30,40", "30x40", "square")),
        ("1,2,0,0", ("crop=1,2,0,0", "0x0")),
    ],
)
def test_what_is_no_square_is_refused(text: str, facts: tuple[str, ...]) -> None:
    with refuses(*facts, error=InputError):
        parse_crop(text)
