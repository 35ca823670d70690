import numpy as np
import pytest
from image_files import GREY, plain
from measured_parts import benchmark_part, training_part
from says import says

from facerec.doctor.colours import judge_colours


def faces(count: int, swapped: int = 0) -> list[np.ndarray]:
    """Noisy skin; the last ``swapped`` with red and blue in each other's place."""
    rng = np.random.default_rng(0)
    images = [(np.array([200, 150, 120]) + rng.integers(-40, 41, (20, 20, 3))).astype(np.uint8) for _ in range(count)]
    return images[: count - swapped] + [image[..., ::-1] for image in images[count - swapped :]]


def test_skin_in_rgb_is_no_finding():
    assert judge_colours([training_part(faces(30), "v" * 30), benchmark_part(faces(30))]) == []


@pytest.mark.parametrize("swapped", [30, 16])
def test_a_set_with_most_images_swapped_is_an_error_with_its_confidence(swapped):
    (finding,) = judge_colours([training_part(faces(30), "v" * 30), benchmark_part(faces(30, swapped))])
    assert (finding.name, finding.severity, finding.part) == ("swapped_channels", "error", "benchmark known")
    assert finding.count == swapped
    assert finding.details == [{"confidence": round(swapped / 30, 4), "colour_images": 30}]
    assert says(finding.sentence, f"{swapped / 30:.1%} of 30 ")


def test_single_images_are_named_with_the_identities_that_are_swapped_whole():
    part = training_part(faces(30, 3), ["ann"] * 28 + ["bob"] * 2)
    (finding,) = judge_colours([part])
    assert (finding.name, finding.severity, finding.count) == ("swapped_images", "error", 3)
    assert {detail["image"] for detail in finding.details if "image" in detail} == {"27", "28", "29"}
    assert [detail for detail in finding.details if "identity" in detail] == [{"identity": "bob", "images": 2}]


def test_a_few_in_a_hundred_are_a_warning():
    (finding,) = judge_colours([benchmark_part(faces(100, 2))])
    assert (finding.name, finding.severity, finding.count) == ("swapped_images", "warning", 2)


def test_grey_images_tell_nothing():
    grey = [plain((value, value, value), (20, 20)) for value in range(100)]
    assert judge_colours([benchmark_part([*grey, *faces(12)]), benchmark_part([plain(GREY)])]) == []


def test_a_handful_of_images_is_not_judged_as_a_set():
    (finding,) = judge_colours([benchmark_part(faces(4, 4))])
    assert (finding.name, finding.severity) == ("swapped_images", "warning")
