import cv2
import numpy as np
import pytest
from image_files import GREY, plain

from facerec.doctor.image_hashes import (
    FEATURES,
    ZOOMS,
    content_digest,
    flipped,
    measure,
    measure_border,
    measure_redness,
    perceptual_hash,
)

SKIN = (200, 150, 120)


def scene(seed: int, side: int = 112) -> np.ndarray:
    """Shades of skin, the finer the weaker, as in a photograph."""
    rng, image = np.random.default_rng(seed), np.full((side, side, 3), 1.0) * SKIN
    for cells in (3, 6, 12, 24, 48):
        noise = rng.normal(0, 150 / cells, (cells, cells, 1)).repeat(3, axis=2)
        image += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    return image.clip(0, 255).astype(np.uint8)


def bits(image: np.ndarray) -> np.ndarray:
    return np.unpackbits(perceptual_hash(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)).view(np.uint8), bitorder="little")


def distance(one: np.ndarray, other: np.ndarray) -> int:
    return int((bits(one) != bits(other)).sum())


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def test_the_hash_is_the_signs_of_the_lowest_frequencies_of_the_cosine_transform():
    image = scene(1, 32)
    x = np.arange(32)
    cosines = np.cos(np.pi * np.outer(np.arange(32), 2 * x + 1) / 64)
    wave = cosines @ cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float) @ cosines.T
    order = sorted((row**2 + col**2, row, col) for row in range(32) for col in range(32))[1:257]
    assert sum((wave[row, col] > 0) != bit for (_, row, col), bit in zip(order, bits(image), strict=True)) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_the_hash_hardly_changes_with_compression_size_and_brightness(seed):
    image = scene(seed)
    assert distance(image, jpeg(image, 50)) <= 12
    assert distance(image, cv2.resize(image, (70, 70), interpolation=cv2.INTER_AREA)) <= 12
    assert distance(image, cv2.resize(image, (160, 160))) <= 12
    assert distance(image, cv2.convertScaleAbs(image, alpha=0.85)) <= 12


def test_hashes_of_other_pictures_are_far():
    assert min(distance(scene(seed), scene(100)) for seed in range(20)) > 60


@pytest.mark.parametrize("size", [(112, 112), (96, 80), (33, 47)])
def test_the_hash_of_a_mirror_image_follows_from_the_hash(size):
    grey = cv2.cvtColor(cv2.resize(scene(1), size), cv2.COLOR_RGB2GRAY)
    differing = np.bitwise_count(flipped(perceptual_hash(grey)) ^ perceptual_hash(grey[:, ::-1])).sum()
    assert differing <= 2  # where a coefficient is next to nothing


def test_the_middle_is_hashed_without_two_four_and_six_pixels_of_112():
    image = scene(1)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    middles = [perceptual_hash(grey[pixels:-pixels, pixels:-pixels]) for pixels in (2, 4, 6)]
    assert len(ZOOMS) == 3 and (measure(image)["zoomed"] == middles).all()


def test_the_digest_tells_pixels_and_shape():
    image = scene(1)
    assert (content_digest(image) == content_digest(image.copy())).all()
    assert (content_digest(np.asfortranarray(image)) == content_digest(image)).all()
    other = image.copy()
    other[50, 50, 2] ^= 1
    assert (content_digest(other) != content_digest(image)).any()
    assert (content_digest(plain(GREY, (4, 9))) != content_digest(plain(GREY, (6, 6)))).any()


def test_borders_are_counted_at_each_edge_apart():
    grey = np.random.default_rng(0).integers(60, 250, (40, 30)).astype(np.uint8)
    grey[:7], grey[-3:], grey[:, :2], grey[:, -5:] = 0, 20, 90, 130
    border, level = measure_border(grey[10:30])  # only the sides
    assert border == [0, 0, 2, 5] and level[2:] == [90, 130]
    border, level = measure_border(np.ascontiguousarray(grey[:, 5:20]))  # only top and bottom
    assert border == [7, 3, 0, 0] and level[:2] == [0, 20]


def test_skin_is_redder_than_blue_and_swapped_skin_is_not():
    assert measure_redness(plain(SKIN, (50, 60))) == pytest.approx(80 / 471, abs=1e-6)
    assert measure_redness(plain(SKIN[::-1], (50, 60))) == pytest.approx(-80 / 471, abs=1e-6)


def test_redness_looks_at_the_middle_alone():
    image = plain((0, 0, 255), (64, 64))
    image[16:48, 16:48] = SKIN
    assert measure_redness(image) > 0.15


def test_a_grey_image_has_no_redness():
    assert np.isnan(measure_redness(plain(GREY, (30, 30))))


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (5, 3), (700, 500)])
def test_images_of_any_size_are_measured(size):
    features = measure(plain(SKIN, size))
    assert features["readable"] and features["flat"] and features["size"].tolist() == list(size)


def test_an_image_leaves_two_hundred_bytes_at_most():
    assert FEATURES.itemsize <= 200
