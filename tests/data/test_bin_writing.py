import pickle
import pickletools

import numpy as np
from image_files import BLUE, RED, encode, plain, write_benchmark
from recordio_writer import png
from says import refuses
from shared_data import INSIGHTFACE, needs_insightface

from facerec.data.readers.bin import EncodedImages, open_bin, write_bin
from facerec.data.readers.folders import read_pairs
from facerec.data.source import Benchmark
from facerec.data.synthetic.synthetic_faces import synthetic_benchmark
from facerec.errors import InputError


def benchmark(images, left, right, is_same, name="own"):
    source = EncodedImages(images, [f"{number}.png" for number in range(len(images))])
    return Benchmark(name, source, np.array(left), np.array(right), np.array(is_same))


THREE = benchmark([png(0), png(1), png(2)], [2, 0], [1, 2], [True, False])


def test_the_file_is_a_tuple_of_the_encoded_images_of_each_pair_and_the_answers(tmp_path):
    write_bin(THREE, tmp_path / "own.bin")
    content = pickle.loads((tmp_path / "own.bin").read_bytes())
    assert content == ([png(2), png(1), png(0), png(2)], [True, False])
    assert type(content) is tuple and [type(answer) for answer in content[1]] == [bool, bool]


def test_the_pickle_holds_plain_types_that_python_3_4_reads(tmp_path):
    write_bin(THREE, tmp_path / "own.bin")
    found = {opcode.name: argument for opcode, argument, _ in pickletools.genops((tmp_path / "own.bin").read_bytes())}
    assert found["PROTO"] == 4
    assert not found.keys() & {"GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "NEWOBJ"}


def test_what_is_written_is_read_back(tmp_path):
    write_bin(THREE, tmp_path / "own.bin")
    again = open_bin(tmp_path / "own.bin")
    assert again.is_same.tolist() == [True, False]
    for side, expected in ((again.left, [2, 0]), (again.right, [1, 2])):
        assert [again.images.encoded(index) for index in side] == [png(number) for number in expected]


@needs_insightface
def test_the_sample_is_written_again_with_the_same_images_and_answers(tmp_path):
    write_bin(open_bin(INSIGHTFACE / "lfw_sample.bin"), tmp_path / "again.bin")
    files = [INSIGHTFACE / "lfw_sample.bin", tmp_path / "again.bin"]
    before, after = (pickle.loads(file.read_bytes()) for file in files)
    assert before == after


def test_images_of_two_sizes_are_refused(tmp_path):
    images = [encode(plain(RED)), encode(plain(BLUE, (12, 14)))]
    with refuses("1.png", "12x14", "0.png", "12x12", error=InputError):
        write_bin(benchmark(images, [0], [1], [False]), tmp_path / "own.bin")
    assert not list(tmp_path.iterdir())


def test_drawn_faces_are_refused(tmp_path):
    with refuses("benchmark synthetic", "own.bin", error=InputError):
        write_bin(synthetic_benchmark(num_identities=20, num_pairs=20), tmp_path / "own.bin")


def test_a_damaged_image_in_a_folder_is_named_with_its_folder(tmp_path):
    write_benchmark(tmp_path, "own")
    (tmp_path / "own/own/b.png").write_bytes(b"")
    with refuses(f"{tmp_path}/own/own/b.png", "empty", error=InputError):
        write_bin(read_pairs(tmp_path, "own"), tmp_path / "own.bin")
