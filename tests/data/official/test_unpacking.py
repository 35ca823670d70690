import pickle

import pytest
from image_files import RED, encode, plain
from pair_files import PAIRS, files
from recordio_writer import png
from says import refuses
from shared_data import INSIGHTFACE, needs_insightface

from facerec.data.official.layout import unpack_bin, write_benchmark
from facerec.data.readers.bin import open_bin, write_bin
from facerec.data.readers.folders import read_pairs
from facerec.errors import InputError

IMAGES, ANSWERS = [png(0), png(1), encode(plain(RED, (6, 5)), ".jpg"), png(0)], [True, False]


@pytest.fixture
def bin_file(tmp_path):
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps((IMAGES, ANSWERS)))
    return tmp_path / "lfw.bin"


def test_a_bin_becomes_the_layout_and_back_with_the_same_bytes(root, bin_file, tmp_path):
    prepared = unpack_bin(bin_file, root)
    assert prepared[:3] == ("lfw", 2, 3)
    assert sorted(files(root / "lfw/lfw").items()) == [
        ("000000.png", png(0)), ("000001.png", png(1)), ("000002.jpg", IMAGES[2])
    ]  # fmt: skip
    assert (root / "lfw/lfw_pair.txt").read_text() == "000000.png 000001.png 1\n000002.jpg 000000.png -1\n"
    write_bin(read_pairs(root, "lfw"), tmp_path / "back.bin")
    assert pickle.loads((tmp_path / "back.bin").read_bytes()) == (IMAGES, ANSWERS)


def test_the_layout_becomes_a_bin_and_back_with_equal_images_and_pairs(root, images, tmp_path):
    write_benchmark(root, "own", PAIRS, images)
    write_bin(read_pairs(root, "own"), tmp_path / "own.bin")
    unpack_bin(tmp_path / "own.bin", root, "again")
    before, after = read_pairs(root, "own"), read_pairs(root, "again")
    assert before.is_same.tolist() == after.is_same.tolist() and len(before.images) == len(after.images)
    for left, right in ((before.left, after.left), (before.right, after.right)):
        assert [before.images.encoded(index) for index in left] == [after.images.encoded(index) for index in right]


def test_what_is_no_image_is_named_and_nothing_is_written(root, tmp_path):
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps(([png(0), b"text"], [True])))
    with refuses("lfw.bin image 1", "JPEG, PNG, BMP or WebP", "fetch", error=InputError):
        unpack_bin(tmp_path / "lfw.bin", root)
    assert not root.exists() or not list(root.iterdir())


@needs_insightface
def test_the_sample_of_insightface_makes_the_round_trip(root, tmp_path):
    unpack_bin(INSIGHTFACE / "lfw_sample.bin", root)
    write_bin(read_pairs(root, "lfw_sample"), tmp_path / "back.bin")
    sample, back = open_bin(INSIGHTFACE / "lfw_sample.bin"), open_bin(tmp_path / "back.bin")
    assert pickle.loads((tmp_path / "back.bin").read_bytes()) == pickle.loads(
        (INSIGHTFACE / "lfw_sample.bin").read_bytes()
    )
    assert sample.left.tolist() == back.left.tolist() and len(sample.images) == len(back.images)
