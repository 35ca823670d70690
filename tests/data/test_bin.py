import os
import pickle

import cv2
import numpy as np
import pytest
from recordio_writer import pixels, png
from says import refuses
from shared_data import INSIGHTFACE, needs_insightface

from facerec.data.readers.bin import open_bin
from facerec.errors import InputError

# Four pairs of five pictures: two of one person, then 0 and 2 with others, then 4 with itself.
NUMBERS = [0, 1, 2, 0, 3, 2, 4, 4]
ANSWERS = [True, False, False, True]


def write(tmp_path, content, protocol=pickle.HIGHEST_PROTOCOL):
    path = tmp_path / "lfw.bin"
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_pairs_are_of_neighbours_and_each_distinct_image_stands_once(tmp_path, protocol):
    benchmark = open_bin(write(tmp_path, ([png(number) for number in NUMBERS], ANSWERS), protocol))
    assert benchmark.name == "lfw" and len(benchmark) == 4 and len(benchmark.images) == 5
    assert benchmark.left.tolist() == [0, 2, 3, 4] and benchmark.right.tolist() == [1, 0, 2, 4]
    assert benchmark.left.dtype == benchmark.right.dtype == np.int64
    assert benchmark.is_same.dtype == bool and benchmark.is_same.tolist() == ANSWERS
    for number in range(5):
        np.testing.assert_array_equal(benchmark.images.load(number), pixels(number))


def test_an_image_is_named_by_its_first_place_in_the_file(tmp_path):
    images = open_bin(str(write(tmp_path, ([png(number) for number in NUMBERS], ANSWERS)))).images
    assert [images.name(index) for index in range(5)] == [f"lfw.bin image {place}" for place in (0, 1, 2, 4, 6)]


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (1, -1)])
@pytest.mark.parametrize("protocol", [2, 5])
def test_images_may_be_arrays_as_imencode_returns_them(tmp_path, shape, protocol):
    encoded = [np.frombuffer(png(number), np.uint8).reshape(shape) for number in NUMBERS]
    benchmark = open_bin(write(tmp_path, (encoded, ANSWERS), protocol))
    assert benchmark.left.tolist() == [0, 2, 3, 4]
    np.testing.assert_array_equal(benchmark.images.load(3), pixels(3))


def test_a_file_that_python_2_wrote(tmp_path):
    jpeg = cv2.imencode(".jpg", np.full((8, 8, 3), 200, np.uint8))[1].tobytes()
    string = b"T" + len(jpeg).to_bytes(4, "little") + jpeg  # BINSTRING, the str of Python 2
    (tmp_path / "lfw.bin").write_bytes(b"\x80\x02](" + string + string + b"e]\x88a\x86.")
    benchmark = open_bin(tmp_path / "lfw.bin")
    assert (len(benchmark.images), benchmark.is_same.tolist()) == (1, [True])
    assert benchmark.images.load(0).shape == (8, 8, 3)


@pytest.mark.parametrize(
    "answers", [(1, 0), [np.True_, np.False_], np.array([True, False]), np.array([1, 0], np.uint8)]
)
@pytest.mark.parametrize("outer", [tuple, list])
def test_answers_and_containers_of_every_kind(tmp_path, answers, outer):
    images = [png(number) for number in range(4)]
    benchmark = open_bin(write(tmp_path, outer([tuple(images), answers])))
    assert benchmark.is_same.tolist() == [True, False]


IMAGE = png(0)
MALFORMED = {
    "an odd number of images": (([IMAGE] * 3, [True]), ("3 images", "1 answers")),
    "too few answers": (([IMAGE] * 4, [True]), ("4 images", "1 answers")),
    "too many answers": (([IMAGE] * 2, [True, False]), ("2 images", "2 answers")),
    "nothing": (([], []), ("0 images", "0 answers")),
    "one list": ([IMAGE, IMAGE], ("list of images", "list of answers")),
    "three lists": (([IMAGE, IMAGE], [True], []), ("list of images", "list of answers")),
    "a number": (7, ("list of images", "list of answers")),
    "a table of answers": (([IMAGE] * 4, np.ones((2, 1), bool)), ("list of images", "list of answers")),
    "text": ((["a.jpg", "b.jpg"], [True]), ("str", "image 0")),
    "no image": (([IMAGE, None], [True]), ("NoneType", "image 1")),
    "pixels": (([IMAGE, pixels(0)], [True]), ("pixels", "image 1")),
    "decimals": (([IMAGE, np.ones(9)], [True]), ("pixels", "image 1")),
    "-1 for no": (([IMAGE] * 4, [1, -1]), ("int", "answer 1")),
    "text as answer": (([IMAGE] * 4, [True, "False"]), ("str", "answer 1")),
    "distances": (([IMAGE] * 4, [0.0, 1.0]), ("float", "answer 0")),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_another_structure_is_refused(tmp_path, case):
    content, facts = MALFORMED[case]
    with refuses("lfw.bin", *facts, "InsightFace", error=InputError):
        open_bin(write(tmp_path, content, protocol=4))


def test_how_to_write_it_is_the_remedy(tmp_path):
    with refuses("lfw.bin", "encoded", "bytes", "true or false", error=InputError):
        open_bin(write(tmp_path, ([IMAGE] * 4, [1, -1])))


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_hostile_file_is_refused_and_nothing_runs(tmp_path):
    path = write(tmp_path, ([IMAGE, Hostile(tmp_path / "marker")], [True]))
    with refuses("lfw.bin", "pickle", ".mkdir", error=InputError):
        open_bin(path)
    assert not (tmp_path / "marker").exists()


def test_a_file_cut_off_anywhere_is_refused(tmp_path):
    path = write(tmp_path, ([b"left", b"right"], [True]))
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with refuses("lfw.bin", "pickle", error=InputError):
            open_bin(path)


def test_a_damaged_image_is_named_when_it_is_loaded(tmp_path):
    benchmark = open_bin(write(tmp_path, ([IMAGE, IMAGE[:60], b"", b"text"], [True, False])))
    for index, problem in ((1, "cut off"), (2, "empty"), (3, "decoded")):
        with refuses(f"lfw.bin image {index}", problem, error=InputError):
            benchmark.images.load(index)


def test_the_fingerprint_tells_images_and_their_order_apart(tmp_path):
    prints = set()
    for numbers in ([0, 1, 2, 3], [0, 1, 2, 4], [1, 0, 2, 3]):
        path = write(tmp_path, ([png(number) for number in numbers], [True, False]))
        assert open_bin(path).images.fingerprint() == open_bin(path).images.fingerprint()
        prints.add(open_bin(path).images.fingerprint())
    assert len(prints) == 3


def test_a_benchmark_can_be_sent_to_another_process(tmp_path):
    images = open_bin(write(tmp_path, ([png(number) for number in NUMBERS], ANSWERS))).images
    sent = pickle.loads(pickle.dumps(images))
    assert sent.fingerprint() == images.fingerprint()
    np.testing.assert_array_equal(sent.load(4), images.load(4))


@needs_insightface
def test_the_sample():
    benchmark = open_bin(INSIGHTFACE / "lfw_sample.bin")
    with (INSIGHTFACE / "lfw_sample.bin").open("rb") as file:
        encoded, answers = pickle.load(file)
    assert benchmark.name == "lfw_sample" and len(benchmark) == 160
    assert benchmark.is_same.tolist() == answers and len(benchmark.images) == len(set(encoded))
    assert {benchmark.images.load(index).shape for index in range(len(benchmark.images))} == {(112, 112, 3)}
    for pair in range(160):
        for index, data in ((benchmark.left[pair], encoded[2 * pair]), (benchmark.right[pair], encoded[2 * pair + 1])):
            expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
            np.testing.assert_array_equal(benchmark.images.load(index), expected)
