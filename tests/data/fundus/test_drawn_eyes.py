"""Drawn eyes: what they are determined by, that masks are exact, and that the domains differ as measured."""

import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from says import refuses

from facerec.data.fundus.drawn_eyes import drawn_source
from facerec.data.fundus.drawn_eyes.drawn_source import DrawnEyes
from facerec.data.fundus.drawn_eyes.looks import LOOKS
from facerec.data.fundus.drawn_eyes.outlines import WOBBLE, Outline, draw_mask
from facerec.data.fundus.masked_source import read_pair


@pytest.fixture(scope="module")
def eyes() -> DrawnEyes:
    return DrawnEyes(25, 5, side=128)


@pytest.fixture(scope="module")
def masks(eyes) -> np.ndarray:
    """(4, 30, 128, 128)"""
    return np.stack([eyes.mask(index) for index in range(len(eyes))]).reshape(4, 30, 128, 128)


@pytest.mark.parametrize("side", [32, 94, 512])
def test_an_eye_is_a_square_of_bytes_with_a_mask_of_its_size(side):
    image, mask = read_pair(DrawnEyes(2, 2, side=side), 9)
    assert image.shape == (side, side, 3) and image.dtype == mask.dtype == np.uint8
    assert image.std() > 5 and np.unique(mask).tolist() == [0, 1, 2]


def test_images_are_in_the_order_of_domains_and_splits():
    source = DrawnEyes(2, 1)
    assert source.domain_names == tuple(LOOKS) and source.domains.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert source.split.tolist() == 4 * ["train", "train", "test"]
    assert [source.name(index) for index in (0, 1, 2, 3)] == [
        "drawn_a train 0",
        "drawn_a train 1",
        "drawn_a test 0",
        "drawn_b train 0",
    ]


def test_another_process_draws_the_same_eye(eyes):
    code = """
import sys
from facerec.data.fundus.drawn_eyes.drawn_source import DrawnEyes
sys.stdout.buffer.write(DrawnEyes(25, 5, side=128).load(7).tobytes())
"""
    drawn = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert drawn == eyes.load(7).tobytes() == pickle.loads(pickle.dumps(eyes)).load(7).tobytes()


def test_an_eye_does_not_depend_on_how_many_others_there_are():
    few, many = DrawnEyes(2, 1, side=64), DrawnEyes(9, 4, side=64)
    for one, other in ((1, 1), (2, 9), (3 + 2, 13 + 9)):  # the same names
        assert few.name(one) == many.name(other)
        np.testing.assert_array_equal(few.load(one), many.load(other))
    alone = DrawnEyes(2, 1, side=64, domain_names=["drawn_d", "drawn_b"])
    assert alone.name(4) == few.name(4)
    np.testing.assert_array_equal(alone.load(4), few.load(4))


def test_no_eye_occurs_twice():
    images = [DrawnEyes(2, 2, side=32, seed=seed).load(index).tobytes() for seed in (0, 1) for index in range(16)]
    assert len(set(images)) == 32


def test_a_mask_is_exact():
    """Each pixel against the outline's radius in the direction of its centre."""
    side, disc = 64, Outline(0.52, 0.47, 0.3, 0.36, 0.2, (0.01, -0.012, 0.015, 0.009))
    cup = Outline(0.5, 0.45, 0.15, 0.2, 0.2, (-0.01, 0.01, 0.0, 0.015))

    def inside(outline: Outline, x: float, y: float) -> bool:
        cos, sin = math.cos(outline.tilt), math.sin(outline.tilt)
        right, down = x - outline.x, y - outline.y
        u, v = (cos * right + sin * down) / outline.half_width, (cos * down - sin * right) / outline.half_height
        angle = math.atan2(v, u)
        waves = (math.cos(2 * angle), math.sin(2 * angle), math.cos(3 * angle), math.sin(3 * angle))
        return math.hypot(u, v) <= 1 + sum(w * wave for w, wave in zip(outline.wobble, waves, strict=True))

    expected = np.zeros((side, side), np.uint8)
    for row in range(side):
        for column in range(side):
            place = (column + 0.5) / side, (row + 0.5) / side
            expected[row, column] = inside(disc, *place) + (inside(disc, *place) and inside(cup, *place))
    np.testing.assert_array_equal(draw_mask(disc, cup, side), expected)


def test_every_cup_is_inside_its_disc_which_touches_no_border(eyes, masks):
    for index in range(len(eyes)):
        eye = eyes.eye(index)
        assert sum(map(abs, eye.disc.wobble)) <= WOBBLE
        assert not ((eye.cup.level(128) <= 1) & (eye.disc.level(128) > 1)).any()
    frame = np.concatenate([masks[..., 0, :], masks[..., -1, :], masks[..., 0], masks[..., -1]], axis=-1)
    assert (frame == 0).mean() > 0.999


def test_sizes_and_cup_to_disc_ratios_are_those_of_the_domains(masks):
    def extent(inside: np.ndarray, axis: int) -> np.ndarray:
        return inside.any(axis=axis).sum(axis=-1) / 128

    for look, mask in zip(LOOKS.values(), masks, strict=True):
        disc, cup = mask >= 1, mask == 2
        assert extent(disc, 1).mean() == pytest.approx(look.disc_width[0], abs=0.04)
        assert (extent(disc, 2) / extent(disc, 1)).mean() == pytest.approx(look.aspect, abs=0.04)
        assert (extent(cup, 2) / extent(disc, 2)).mean() == pytest.approx(look.cup_to_disc[0], abs=0.09)


def test_mean_colours_are_near_those_measured_and_the_domains_differ(eyes):
    measured = np.array([[151, 75, 23], [116, 48, 21], [129, 74, 37], [221, 130, 56]])
    colours = np.stack([eyes.load(index).mean((0, 1)) for index in range(len(eyes))]).reshape(4, 30, 3)
    np.testing.assert_allclose(colours.mean(1), measured, atol=18)
    assert (colours.std(1)[1] > 1.3 * colours.std(1)[3])[0], "exposures vary most in drawn_b"


def test_the_cup_is_brighter_than_the_rim_and_the_rim_than_the_rest(eyes, masks):
    steps = []
    for index in range(0, len(eyes), 3):
        green, mask = eyes.load(index)[..., 1].astype(float), masks.reshape(-1, 128, 128)[index]
        steps.append(
            (
                np.median(green[mask == 2]) - np.median(green[mask == 1]),
                np.median(green[mask == 1]) - np.median(green[mask == 0]),
            )
        )
    assert (np.array(steps) > 0).mean() > 0.95 and (np.mean(steps, axis=0) > 10).all()


def test_the_fingerprint_changes_with_everything_that_changes_an_image():
    variants = [
        DrawnEyes(3, 2),
        DrawnEyes(2, 3),
        DrawnEyes(3, 2, side=64),
        DrawnEyes(3, 2, seed=1),
        DrawnEyes(3, 2, domain_names=["drawn_b", "drawn_a", "drawn_c", "drawn_d"]),
    ]
    assert len({eyes.fingerprint() for eyes in variants}) == len(variants)
    assert DrawnEyes(3, 2).fingerprint() == variants[0].fingerprint()


def test_whoever_changes_the_painting_raises_its_version(eyes, monkeypatch):
    means = [round(float(eyes.load(index).mean())) for index in (0, 40, 80, 110)]
    assert (drawn_source.VERSION, means) == (1, [81, 62, 62, 132])
    before = eyes.state()
    monkeypatch.setattr(drawn_source, "VERSION", 2)
    assert eyes.state() != before


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (dict(num_train=0), ("num_train", "0", "at least 1")),
        (dict(side=31), ("side", "31", "32 to 1024")),
        (dict(side=2048), ("side", "2048", "32 to 1024")),
        (dict(seed=-1), ("seed", "-1")),
    ],
)
def test_bad_arguments_are_named(arguments, facts):
    with refuses(*facts):
        DrawnEyes(**arguments)


@pytest.mark.parametrize("index", [-1, 8])
def test_an_index_out_of_range_is_refused(index):
    with refuses(f"image {index}", "only 8", error=IndexError):
        DrawnEyes(1, 1).load(index)
