import math

import cv2
import numpy as np
import pytest

from facerec.alignment.placement import fit_similarity, template
from facerec.alignment.warp import warp


def smooth_picture(side: int) -> np.ndarray:
    """Waves that are long against a pixel of any face made of it."""
    y, x = np.mgrid[:side, :side] / side
    waves = [np.sin(2 * math.pi * (3 * x + y)), np.sin(2 * math.pi * 2 * y), np.cos(2 * math.pi * 2 * (x + y))]
    return np.uint8(np.round(127.5 + 60 * np.stack(waves, axis=-1)))


def turned(scale: float, angle: float, side: int, size: int) -> np.ndarray:
    """The middle of a picture of ``side`` into the middle of one of ``size``."""
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    middle, target = (side - 1) / 2, (size - 1) / 2
    return np.array([[a, -b, target - (a - b) * middle], [b, a, target - (b + a) * middle]])


def averaged(image: np.ndarray, matrix: np.ndarray, size: int, samples: int = 16) -> np.ndarray:
    """The mean of many nearest pixels below each pixel of the result."""
    fine = (np.arange(size * samples) + 0.5) / samples - 0.5
    x, y = np.meshgrid(fine, fine)
    a, b = matrix[0, 0], matrix[1, 0]
    back = np.linalg.inv(np.array([[a, -b], [b, a]]))
    columns, rows = (np.rint(back @ [(x - matrix[0, 2]).ravel(), (y - matrix[1, 2]).ravel()])).astype(int)
    height, width = image.shape[:2]
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    pixels = np.where(inside[:, None], image[rows.clip(0, height - 1), columns.clip(0, width - 1)], 0)
    return pixels.reshape(size, samples, size, samples, 3).mean(axis=(1, 3))


@pytest.mark.parametrize("scale", [1.5, 1.0, 0.6, 0.3, 0.11, 0.05])
@pytest.mark.parametrize("angle", [0.0, 0.5, 2.5])
def test_the_warp_is_the_mean_of_what_lies_below_each_pixel(scale: float, angle: float) -> None:
    side = round(60 / scale)
    picture, matrix = smooth_picture(side), turned(scale, angle, side, 32)
    np.testing.assert_allclose(warp(picture, matrix, 32).astype(float), averaged(picture, matrix, 32), atol=6)


@pytest.mark.parametrize("scale", [0.45, 0.2, 0.07, 0.03])
@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_stripes_finer_than_a_pixel_become_grey(scale: float, angle: float) -> None:
    side = 1600
    stripes = np.zeros((side, side, 3), np.uint8)
    stripes[:, ::2] = 255
    matrix = turned(scale, angle, side, 40)
    face = warp(stripes, matrix, 40)[2:-2, 2:-2]
    bilinear = cv2.warpAffine(stripes, matrix, (40, 40))[2:-2, 2:-2]
    assert abs(face.mean() - 127.5) < 4
    assert face.std() < 26  # at 0.2 a pixel has three white stripes and two black ones, or two and three
    if scale < 0.2:  # the plain warp makes stripes of its own
        assert bilinear.std() > 2 * face.std()


def test_a_face_aligned_to_96_is_the_one_aligned_to_112_and_resized() -> None:
    picture = smooth_picture(500)
    points = template(112) * 3 + [80, 60]
    face112, face96 = (warp(picture, fit_similarity(points, template(size)), size) for size in (112, 96))
    resized = cv2.resize(face112, (96, 96), interpolation=cv2.INTER_AREA)
    assert np.abs(resized.astype(int) - face96).mean() < 1.0
    # Half a pixel away it is not.
    assert np.abs(resized[:, 1:].astype(int) - face96[:, :-1]).mean() > 1.5


def test_a_face_that_is_aligned_already_stays_as_it_is() -> None:
    face = np.random.default_rng(0).integers(0, 256, (112, 112, 3)).astype(np.uint8)
    np.testing.assert_array_equal(warp(face, fit_similarity(template(112), template(112)), 112), face)


@pytest.mark.parametrize(
    ("border", "corner"), [("constant", (0, 0, 0)), ("replicate", (10, 20, 30)), ("reflect", (10, 20, 30))]
)
@pytest.mark.parametrize("scale", [1.0, 0.4, 0.1])
def test_beyond_the_image_is_the_border(border: str, corner: tuple[int, int, int], scale: float) -> None:
    side = round(30 / scale)
    picture = np.full((side, side, 3), (10, 20, 30), np.uint8)
    face = warp(picture, turned(scale, 0, side, 40), 40, border)
    assert tuple(face[0, 0]) == corner
    assert tuple(face[20, 20]) == (10, 20, 30)
