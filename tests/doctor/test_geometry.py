import numpy as np
from image_files import GREY, plain
from measured_parts import training_part
from says import says

from facerec.doctor.geometry import count_sizes, judge_geometry


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(40, 256, (height, width, 3)).astype(np.uint8)


def bordered(top: int = 0, bottom: int = 0, left: int = 0, right: int = 0, colour: int = 0) -> np.ndarray:
    image = noise(100, 100)
    image[:top], image[100 - bottom :], image[:, :left], image[:, 100 - right :] = [colour] * 4
    return image


def judged(*images: np.ndarray) -> dict[str, list[str]]:
    found = judge_geometry([training_part(images, "v" * len(images))], (96, 96))
    assert all(finding.severity == "warning" and finding.count == len(finding.details) for finding in found)
    return {finding.name: [detail["image"] for detail in finding.details] for finding in found}


def test_images_of_one_large_square_size_are_no_finding():
    assert judged(noise(112, 112), noise(112, 112)) == {}


def test_other_sizes_other_shapes_and_small_images_are_named():
    images = noise(112, 112), noise(112, 112), noise(112, 96), noise(90, 90), noise(200, 200)
    assert judged(*images) == {"other_sizes": ["2", "3", "4"], "not_square": ["2"], "small_images": ["3"]}


def test_sizes_are_counted_with_the_commonest_first():
    part = training_part([noise(9, 8), noise(10, 10), noise(10, 10)], "vvv")
    assert list(count_sizes([part]).items()) == [("10x10", 2), ("8x9", 1)]


def test_sizes_are_said_with_the_width_first():
    images = noise(100, 120), noise(100, 120), noise(80, 60)
    found = {f.name: f for f in judge_geometry([training_part(images, "vvv")], (112, 96))}
    assert says(found["other_sizes"].sentence, "120x100")
    assert found["other_sizes"].details == [{"image": "2", "size": "60x80"}]
    assert found["other_sizes"].examples[0].caption.endswith("\n60x80")
    assert says(found["small_images"].sentence, "smaller than", "96x112")


def test_black_borders_are_wide_above_a_tenth_at_any_edge():
    wide = bordered(top=11), bordered(bottom=30), bordered(left=15), bordered(right=12)
    narrow = bordered(top=9, left=9), bordered(bottom=8), bordered(right=10)
    assert judged(*wide, *narrow) == {"wide_borders": ["0", "1", "2", "3"]}


def test_a_bright_border_needs_its_like_at_the_opposite_edge():
    backdrop, letterbox = bordered(top=30, colour=250), bordered(left=20, right=20, colour=250)
    assert judged(backdrop, letterbox) == {"wide_borders": ["1"]}


def test_an_image_of_one_colour_is_flat_and_has_no_border():
    assert judged(noise(100, 100), plain((0, 0, 0), (100, 100)), plain(GREY, (100, 100))) == {"flat_images": ["1", "2"]}
