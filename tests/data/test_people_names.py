"""Whose image it is, by its path."""

import numpy as np
import pytest

from facerec.data.readers.folders import read_pairs
from facerec.data.readers.people_names import people_in_paths


def people(pairs, paths):
    left, right, is_same = map(np.array, zip(*pairs, strict=True))
    return people_in_paths(paths, left, right, is_same.astype(bool))


PAIRS = [(0, 1, 1), (2, 3, 1), (0, 2, 0), (1, 3, 0)]


@pytest.mark.parametrize(
    "paths",
    [
        ["Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg", "Bob/Bob_0001.jpg", "Bob/Bob_0002.jpg"],
        ["Ann/frontal/01.jpg", "Ann/profile/01.jpg", "Bob/frontal/01.jpg", "Bob/profile/02.jpg"],
        ["test/Ann/1.jpg", "test/Ann/2.jpg", "test/Bob/1.jpg", "test/Bob/2.jpg"],
        ["Ann_0001.jpg", "Ann_0003.jpg", "Bob_0001.jpg", "Bob_0002.jpg"],
        ["1_Ann_25_f.jpg", "2_Ann_26_f.jpg", "3_Bob_25_m.jpg", "4_Bob_30_m.jpg"],
    ],
    ids=["lfw", "cfp", "last folder", "flat", "agedb"],
)
def test_the_person_is_named_in_each_published_layout(paths):
    assert people(PAIRS, paths) == ("Ann", "Ann", "Bob", "Bob")


@pytest.mark.parametrize(
    "paths", [["0.jpg", "1.jpg", "2.jpg", "3.jpg"], ["a/0.jpg", "b/1.jpg", "c/2.jpg", "c/3.jpg"], ["a/0.jpg"] * 4]
)
def test_names_that_contradict_the_pairs_are_not_believed(paths):
    assert people(PAIRS, paths) is None


def test_one_wrong_answer_of_a_hundred_does_not_matter():
    paths = [f"{person}/{image}.jpg" for person in range(100) for image in range(2)]
    pairs = [(2 * person, 2 * person + 1, person != 7) for person in range(100)]
    assert people(pairs, paths)[14] == "7"
    assert people([*pairs[:98], (196, 197, False), (0, 1, False)], paths) is None


def test_one_image_in_two_spellings_is_one_image_of_a_benchmark(tmp_path):
    (tmp_path / "own" / "own").mkdir(parents=True)
    (tmp_path / "own" / "own_pair.txt").write_text("Ann/0.jpg ./Ann//1.jpg 1\nAnn/./0.jpg Bob/0.jpg -1\n")
    benchmark = read_pairs(tmp_path, "own")
    assert [benchmark.images.name(index) for index in range(len(benchmark.images))] == [
        "Ann/0.jpg",
        "Ann/1.jpg",
        "Bob/0.jpg",
    ]
    assert (benchmark.left.tolist(), benchmark.right.tolist()) == ([0, 0], [1, 2])
