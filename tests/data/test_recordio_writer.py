import os
import struct
import subprocess
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import recordio_writer as naive
from hypothesis import given
from hypothesis import strategies as st
from image_files import BLUE, GREEN, RED, encode, plain, write_image
from recordio_writer import MAGIC, pixels, png
from says import refuses
from shared_data import INSIGHTFACE, needs_insightface

from facerec.data.archives import recordio_writer
from facerec.data.archives.recordio_writer import frame, pack, write_index, write_training_set, writing_records
from facerec.data.readers.bin import EncodedImages
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.recordio import RecordFile
from facerec.errors import InputError

# Bytes in which the magic number is likely to stand, at any distance from the start, whole or in part.
CONTENTS = st.lists(st.sampled_from([MAGIC, MAGIC[:2], MAGIC[2:], b"x", b"four", b""]), max_size=12).map(b"".join)


class Faces(EncodedImages):
    """Pictures of people, 0, 1, ... by number."""

    def __init__(self, labels, images):
        super().__init__(images, [f"{number}.png" for number in range(len(images))])
        self.labels, self.num_identities = np.array(labels, np.int64), max(labels) + 1

    def identity_name(self, label):
        return str(label)

    def reference(self, index):
        return self.name(index)


# Seven pictures of three people, not in order.
LABELS = [2, 0, 1, 2, 0, 2, 1]
FACES = Faces(LABELS, [png(number) for number in range(7)])


@given(CONTENTS)
def test_a_record_is_framed_as_by_the_naive_writer(content):
    assert frame(content) == naive.frame(content)


@given(st.floats(width=32, allow_nan=False) | st.lists(st.floats(width=32, allow_nan=False), max_size=3), CONTENTS)
def test_a_header_is_packed_as_by_the_naive_writer(label, image):
    assert pack(label, 7, image, id2=1) == naive.pack(label, 7, image, id2=1)


@given(st.lists(CONTENTS, min_size=1, max_size=6))
def test_what_is_written_is_read_back_with_and_without_the_index(tmp_path_factory, images):
    path = tmp_path_factory.mktemp("records") / "train.rec"
    with writing_records(path) as writer:
        for key, image in enumerate(images):
            writer.write(key, pack([float(key), 3.0], key, image))
    for index in (path.with_suffix(".idx"), path.with_suffix(".none")):
        records = RecordFile(path, index)
        assert records.keys.tolist() == list(range(len(images)))
        for key, image in enumerate(images):
            header, found = records.record(key)
            assert (header.id, header.label.tolist(), found) == (key, [key, 3], image)


@needs_insightface
def test_a_file_that_mxnet_wrote_is_written_again_byte_for_byte(tmp_path):
    write_training_set(InsightFaceRecords(INSIGHTFACE), tmp_path)
    for name in ("train.rec", "train.idx", "property"):
        assert (tmp_path / name).read_bytes() == (INSIGHTFACE / name).read_bytes()


def test_the_classic_layout_groups_images_by_identity(tmp_path):
    assert write_training_set(FACES, tmp_path) == (7, 3, 6, 5)
    order = [1, 4, 2, 6, 0, 3, 5]
    contents = naive.classic([float(LABELS[number]) for number in order], [png(number) for number in order])
    naive.write_records(tmp_path / "naive.rec", contents)
    assert (tmp_path / "train.rec").read_bytes() == (tmp_path / "naive.rec").read_bytes()
    assert (tmp_path / "train.idx").read_bytes() == (tmp_path / "naive.idx").read_bytes()
    source = InsightFaceRecords(tmp_path)
    assert source.labels.tolist() == [0, 0, 1, 1, 2, 2, 2]
    for index, number in enumerate(order):
        np.testing.assert_array_equal(source.load(index), pixels(number))


def test_the_flat_layout_keeps_the_order(tmp_path):
    write_training_set(FACES, tmp_path, "faces", flat=True)
    naive.write_records(tmp_path / "naive.rec", naive.flat([float(label) for label in LABELS], FACES._encoded))
    assert (tmp_path / "faces.rec").read_bytes() == (tmp_path / "naive.rec").read_bytes()
    assert (tmp_path / "faces.idx").read_bytes() == (tmp_path / "naive.idx").read_bytes()
    source = InsightFaceRecords(tmp_path, "faces")
    assert source.labels.tolist() == LABELS
    assert [source.encoded(index) for index in range(7)] == [png(number) for number in range(7)]


def test_property_has_the_one_line_that_readers_for_mxnet_take(tmp_path):
    write_training_set(FACES, tmp_path)
    assert (tmp_path / "property").read_text() == "3,6,5\n"


def test_an_index_that_is_rebuilt_is_the_one_that_was_written(tmp_path):
    write_training_set(FACES, tmp_path)
    write_index(RecordFile(tmp_path / "train.rec", tmp_path / "none"), tmp_path / "again.idx")
    assert (tmp_path / "again.idx").read_bytes() == (tmp_path / "train.idx").read_bytes()


class Interrupted(Faces):
    def encoded(self, index):
        if index == 4:
            raise KeyboardInterrupt
        return super().encoded(index)


@pytest.mark.parametrize("there_before", [True, False])
def test_an_interruption_leaves_what_was_there(tmp_path, there_before):
    if there_before:
        write_training_set(FACES, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        write_training_set(Interrupted(LABELS, [png(0)] * 7), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_kill_between_the_two_files_leaves_records_without_an_index_of_others(tmp_path, monkeypatch):
    write_training_set(FACES, tmp_path)
    replace, moved = recordio_writer.replacing.__globals__["os"].replace, []

    def replace_once(source, target):
        moved.append(target)
        if len(moved) > 1:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(recordio_writer.replacing.__globals__["os"], "replace", replace_once)
    with pytest.raises(KeyboardInterrupt):
        write_training_set(Faces([0, 0, 1], [png(7), png(8), png(9)]), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.rec"]
    assert InsightFaceRecords(tmp_path).labels.tolist() == [0, 0, 1]


def test_an_interruption_while_property_is_written_leaves_what_was_there(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    write_training_set(FACES, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(Path, "write_text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_training_set(Faces([0, 0, 1], [png(7), png(8), png(9)]), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_property_is_of_the_name_train_alone(tmp_path):
    write_training_set(FACES, tmp_path)
    write_training_set(Faces([0, 0, 1], [png(7), png(8), png(9)]), tmp_path, "val")
    assert (tmp_path / "property").read_text() == "3,6,5\n" and (tmp_path / "val.rec").is_file()
    write_training_set(FACES, tmp_path / "alone", "val")
    assert sorted(path.name for path in (tmp_path / "alone").iterdir()) == ["val.idx", "val.rec"]


@pytest.mark.parametrize("name", ["train.rec", "train.idx", "property"])
def test_a_folder_in_the_place_of_a_file_is_refused_and_nothing_is_lost(tmp_path, name):
    write_training_set(FACES, tmp_path)
    (tmp_path / name).unlink()
    write_image(tmp_path / name / "mine.png", plain(RED))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    with refuses(str(tmp_path / name), "not a file", "free", error=InputError):
        write_training_set(FACES, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()} == before


def test_what_killed_writers_left_is_removed_and_what_others_write_is_not(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    for name in ("train.rec", "train.idx", "my.train.rec"):
        for process in (dead.pid, os.getppid()):
            (tmp_path / f".partial.{process}.{name}").write_bytes(b"half")
    write_training_set(FACES, tmp_path)
    kept = [f".partial.{os.getppid()}.{name}" for name in ("train.rec", "train.idx", "my.train.rec")]
    assert {path.name for path in tmp_path.glob(".partial.*")} == {*kept, f".partial.{dead.pid}.my.train.rec"}


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    image = encode(plain(RED, (64, 64)), ".bmp")  # 12 kB
    peaks = []
    for count in (1000, 3000):
        faces = Faces([0] * count, [image] * count)
        tracemalloc.start()
        write_training_set(faces, tmp_path / str(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (tmp_path / "3000/train.rec").stat().st_size > 3000 * 64 * 64 * 3
    assert (peaks[1] - peaks[0]) / 2000 < len(image) / 100


def test_images_of_two_sizes_are_refused_and_both_named(tmp_path):
    faces = Faces([0, 0, 1], [encode(plain(RED)), encode(plain(GREEN, (12, 10))), encode(plain(BLUE))])
    with refuses("1.png", "12x10", "0.png", "12x12", error=InputError):
        write_training_set(faces, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_damaged_image_is_refused(tmp_path):
    with refuses("1.png", "cut off", "50 bytes", "fetch", error=InputError):
        write_training_set(Faces([0, 0], [png(0), png(1)[:50]]), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_record_longer_than_29_bits_is_refused(tmp_path):
    with (
        refuses("record 5", "536870912", "536870911", error=InputError),
        writing_records(tmp_path / "train.rec") as writer,
    ):
        writer.write(5, bytes(1 << 29))
    assert not list(tmp_path.iterdir())


def test_what_float32_would_round_is_refused(tmp_path):
    class Many(Faces):
        def __len__(self):
            return 2**24 - 2

    faces = Many([0, 1], [png(0)])
    with refuses("train.rec", "16777214 images", "2 identities", "flat layout", error=InputError):
        write_training_set(faces, tmp_path)
    faces.num_identities = 2**24 + 1
    with refuses("16777217 identities", "float32", "167", error=InputError):
        write_training_set(faces, tmp_path, flat=True)
    assert struct.unpack("<f", struct.pack("<f", 2**24 + 1)) == (2**24,)
