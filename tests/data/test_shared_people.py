"""What a benchmark shares with the training set, on a dozen files that a person can picture."""

import numpy as np
import pytest

from facerec.data.held_out import split_identities
from facerec.data.readers.bin import EncodedImages
from facerec.data.readers.folders import read_identity_folders, read_pairs
from facerec.data.shared_people import shared_with
from facerec.data.source import Benchmark
from facerec.data.synthetic.synthetic_faces import SyntheticFaces, synthetic_benchmark


@pytest.fixture
def train(tmp_path):
    for name in ("José Núñez", "Bob", "007"):
        (tmp_path / "train" / name).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "train" / name / f"{number}.jpg").write_bytes(f"{name} {number}".encode())
    return read_identity_folders(tmp_path / "train")


def pairs(root, lines):
    (root / "own" / "own").mkdir(parents=True)
    (root / "own" / "own_pair.txt").write_text("".join(f"{line}\n" for line in lines))
    for path in {path for line in lines for path in line.split()[:2]}:
        (root / "own" / "own" / path).parent.mkdir(exist_ok=True)
        (root / "own" / "own" / path).write_bytes(path.encode())
    return read_pairs(root, "own")


def test_people_are_known_by_name_and_numbers_are_no_names(train, tmp_path):
    lines = ["jose_nunez/1.jpg jose_nunez/2.jpg 1", "007/1.jpg 007/2.jpg 1", "Eve/1.jpg jose_nunez/1.jpg -1"]
    shared = shared_with(train, [pairs(tmp_path, lines)])["own"]
    assert (shared.people, shared.images, shared.pairs.tolist()) == (1, 0, [True, False, True])


def test_without_names_the_number_of_people_is_unknown_and_not_0(train, tmp_path):
    lines = ["Eve/1.jpg Eve/2.jpg 1", "Eve/1.jpg Ann/1.jpg -1"]
    named = pairs(tmp_path, lines)
    assert shared_with(train, [named])["own"].people == 0
    (tmp_path / "numbers").mkdir()
    for name in ("Bob", "José Núñez"):
        (tmp_path / "train" / name).rename(tmp_path / "numbers" / name)
    (tmp_path / "train" / "8").mkdir()
    (tmp_path / "train" / "8" / "0.jpg").write_bytes(b"8")
    assert shared_with(read_identity_folders(tmp_path / "train"), [named])["own"].people is None


def test_images_are_known_by_their_bytes(train):
    images = EncodedImages([b"Bob 1", b"x", b"y"], ["a", "b", "c"])
    benchmark = Benchmark("bin", images, np.array([0, 1]), np.array([1, 2]), np.array([True, False]))
    shared = shared_with(train, [benchmark])["bin"]
    assert (shared.people, shared.images, shared.pairs.tolist()) == (None, 1, [True, False])


@pytest.mark.parametrize("is_split", [False, True])
def test_painted_faces_share_nothing(is_split):
    train, benchmark = SyntheticFaces(40, 3, image_size=32), synthetic_benchmark(num_identities=40, num_pairs=20)
    if is_split:
        train, benchmark = split_identities(train, 20, seed=1)
    shared = shared_with(train, [benchmark])[benchmark.name]
    assert (shared.people, shared.images, shared.pairs.any()) == (0, 0, False)
