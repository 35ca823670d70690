import cv2
import numpy as np
import pytest
from image_files import GREY, plain
from measured_parts import benchmark_part, training_part

from facerec.data.source import Benchmark
from facerec.doctor.duplicates import find_duplicates, judge_duplicates
from facerec.doctor.overlap import judge_image_overlap, judge_pairs


def picture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (24, 24)).astype(np.uint8)
    return cv2.resize(noise, (64, 64), interpolation=cv2.INTER_CUBIC)[..., None].repeat(3, axis=2)


def smaller(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (50, 50), interpolation=cv2.INTER_AREA)


A, B, C, D = map(picture, range(4))


def found(*parts) -> list[tuple[str, str, bool]]:
    pairs = find_duplicates(parts)
    return [(*(part.source.name(i) for part, i in (p.left, p.right)), p.is_exact) for p in pairs]


def test_equal_pixels_are_exact_and_resized_ones_are_not():
    assert found(training_part([A, B, A, smaller(B), C], "vvvvv")) == [("0", "2", True), ("1", "3", False)]


def test_of_many_equal_images_each_is_paired_with_the_next():
    assert found(training_part([A, A, B, A, A], "vvvvv")) == [("0", "1", True), ("1", "3", True), ("3", "4", True)]


def mirror(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])


def middle(image: np.ndarray) -> np.ndarray:
    """Without four pixels at each edge: 0.045 of the height."""
    return np.ascontiguousarray(image[4:-4, 4:-4])


def likenesses(*parts) -> dict[tuple[str, str], str]:
    pairs = find_duplicates(parts)
    return {(p.left[0].source.name(p.left[1]), p.right[0].source.name(p.right[1])): p.likeness for p in pairs}


def test_mirror_images_and_the_middle_of_an_image_are_the_same_picture():
    faces = [cv2.resize(image, (88, 88), interpolation=cv2.INTER_CUBIC) for image in (A, B, C, D)]
    changed = [mirror(faces[0]), middle(faces[1]), faces[2], smaller(faces[3])]
    expected = {("0", "4"): "mirrored", ("1", "5"): "zoomed", ("2", "6"): "equal", ("3", "7"): "alike"}
    assert likenesses(training_part([*faces, *changed], "abcdefgh")) == expected
    # Whichever of the two comes first.
    turned = {(str(int(b) - 4), str(int(a) + 4)): likeness for (a, b), likeness in expected.items()}
    assert likenesses(training_part([*changed, *faces], "abcdefgh")) == turned
    in_benchmark = {(a, f"known/{int(b) - 4}"): likeness for (a, b), likeness in expected.items()}
    assert likenesses(training_part(faces, "abcd"), benchmark_part(changed)) == in_benchmark


def test_a_picture_that_is_its_own_mirror_image_is_no_duplicate_of_itself():
    symmetric = (A.astype(int) + mirror(A)) // 2
    assert found(training_part([symmetric.astype(np.uint8), B], "vw")) == []


def test_images_of_one_colour_are_no_duplicates():
    assert found(training_part([plain(GREY), plain(GREY), A], "vvv")) == []


def test_every_benchmark_with_the_picture_is_named_and_benchmarks_are_not_compared_with_each_other():
    pairs = found(training_part([A, B], "vw"), benchmark_part([C, A], "one"), benchmark_part([A, C], "two"))
    assert pairs == [("0", "one/1", True), ("0", "two/0", True)]


def test_benchmarks_alone_have_no_duplicates():
    assert found(benchmark_part([A, A])) == [] and found() == []


def test_duplicates_in_two_identities_are_errors_and_those_in_one_are_warnings():
    part = training_part([A, A, B, smaller(B), C, C, D, smaller(D)], ["v", "v", "v", "v", "v", "w", "v", "w"])
    findings = {finding.name: finding for finding in judge_duplicates(find_duplicates([part]))}
    assert {name: (finding.severity, finding.count) for name, finding in findings.items()} == {
        "duplicates_across_identities": ("error", 1),
        "near_duplicates_across_identities": ("error", 1),
        "duplicates": ("warning", 1),
        "near_duplicates": ("warning", 1),
        "identities_sharing_pictures": ("warning", 1),
    }
    across = findings["duplicates_across_identities"]
    assert across.details == [{"images": ["4", "5"], "identities": ["v", "w"], "likeness": "equal", "distance": 0}]
    assert [example.index for example in across.examples] == [4, 5]
    assert findings["identities_sharing_pictures"].details == [{"identities": ["v", "w"], "pictures": 2}]


def test_an_image_of_a_benchmark_in_the_training_set_is_counted_once():
    pairs = find_duplicates([training_part([A, smaller(A), B], "vvw"), benchmark_part([A, C])])
    (finding,) = judge_image_overlap(pairs)
    assert (finding.name, finding.part, finding.count) == ("training_images_in_benchmark", "benchmark known", 1)
    assert {tuple(detail["images"]) for detail in finding.details} == {("0", "known/0"), ("1", "known/0")}


@pytest.mark.parametrize("change", [smaller, mirror, lambda image: image[3:-3, 3:-3].copy()])
@pytest.mark.parametrize(("is_same", "name"), [(False, "one_picture_for_two_people"), (True, "one_picture_for_a_pair")])
def test_a_pair_of_a_benchmark_that_is_one_picture_is_named(is_same, name, change):
    part = benchmark_part([A, change(A), B, plain(GREY), plain(GREY)])
    left, right = np.array([0, 0, 3]), np.array([1, 2, 4])
    benchmark = Benchmark("known", part.source, left, right, np.full(3, is_same))
    (finding,) = judge_pairs(part, benchmark)
    assert finding.name == name and finding.details == [{"images": ["known/0", "known/1"]}]
