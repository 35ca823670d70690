import multiprocessing
import os
import re
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from recordio_writer import MAGIC, classic, flat, frame, pack, pixels, png, write_records
from says import every, refuses, says
from shared_data import INSIGHTFACE, needs_insightface
from torch.utils.data import DataLoader

from facerec.data.readers.insightface import InsightFaceRecords
from facerec.errors import InputError

# Seven pictures of three people, whose numbers have gaps.
CLASSES = [4, 4, 9, 9, 9, 100, 100]
LABELS = [0, 0, 1, 1, 1, 2, 2]
IMAGES = [png(number) for number in range(7)]
SCALARS, LISTS = [float(number) for number in CLASSES], [[float(number), 50.0] for number in CLASSES]

DIALECTS = {
    "classic": classic(SCALARS, IMAGES),
    "classic with lists of labels, as in ms1m-retinaface": classic(LISTS, IMAGES),
    "flat": flat(SCALARS, IMAGES),
    # Taken by its flag alone, its record 0 would say: three images, then 46 identities.
    "flat with lists of labels": flat(LISTS, IMAGES),
    "flat, numbered from 1": {key + 1: pack(label, key + 1, IMAGES[key]) for key, label in enumerate(SCALARS)},
    "flat, without numbers": {key: pack(label, 0, IMAGES[key]) for key, label in enumerate(SCALARS)},
}


def assert_complete(source):
    assert len(source) == 7 and source.num_identities == 3
    assert source.labels.dtype == np.int64 and source.labels.tolist() == LABELS
    for index in range(7):
        np.testing.assert_array_equal(source.load(index), pixels(index))


@pytest.mark.parametrize("with_index", [True, False])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_images_and_labels(tmp_path, dialect, with_index):
    write_records(tmp_path / "train.rec", DIALECTS[dialect], with_index)
    assert_complete(InsightFaceRecords(tmp_path))


def test_lists_of_labels_that_read_like_ranges_are_still_labels(tmp_path):
    # Taken as ranges, record 0 says that 1 and 2 are images and 3 is an identity, and record 3 says the same.
    write_records(tmp_path / "train.rec", flat([[3, 4], [7, 0], [7, 0], [1, 3]], IMAGES[:4]))
    assert InsightFaceRecords(tmp_path).labels.tolist() == [1, 2, 2, 0]


def test_the_fingerprint_is_the_same_with_and_without_an_index(tmp_path):
    write_records(tmp_path / "train.rec", DIALECTS["classic"])
    before = InsightFaceRecords(str(tmp_path)).fingerprint()
    (tmp_path / "train.idx").unlink()
    assert InsightFaceRecords(tmp_path).fingerprint() == before


def test_the_fingerprint_tells_order_labels_and_names_apart(tmp_path):
    sets = {
        "as it is": flat(SCALARS, IMAGES),
        "other label": flat([9.0, *SCALARS[1:]], IMAGES),
        "other order": dict(reversed(flat(SCALARS, IMAGES).items())),
        "other keys": DIALECTS["flat, numbered from 1"],
    }
    for name, contents in sets.items():
        write_records(tmp_path / f"{name}.rec", contents)
    write_records(tmp_path / "train.rec", sets["as it is"])
    prints = [InsightFaceRecords(tmp_path, name).fingerprint() for name in [*sets, "train"]]
    assert len(set(prints)) == 5
    assert every(re.fullmatch("[0-9a-f]{16}", text) for text in prints)


def test_a_name_gives_the_key(tmp_path):
    write_records(tmp_path / "faces.rec", DIALECTS["classic"])
    assert InsightFaceRecords(tmp_path, "faces").name(6) == "faces.rec record 7"


def test_images_behind_each_other_in_the_file_stay_so_whatever_their_keys(tmp_path):
    contents = classic(SCALARS, IMAGES)
    shuffled = {key: contents[key] for key in [0, 11, 10, 9, 8, 7, 3, 5, 1, 2, 4, 6] if key in contents}
    write_records(tmp_path / "train.rec", shuffled)
    source = InsightFaceRecords(tmp_path)
    assert [source.name(index).split()[-1] for index in range(7)] == ["7", "3", "5", "1", "2", "4", "6"]
    assert source.labels.tolist() == [2, 1, 1, 0, 0, 1, 2]


def test_a_classic_file_opens_without_reading_each_image(tmp_path):
    contents = classic([5.0] * 4, IMAGES[:4])
    offset = write_records(tmp_path / "train.rec", contents)[2]
    data = bytearray((tmp_path / "train.rec").read_bytes())
    data[offset : offset + 8] = bytes(8)
    (tmp_path / "train.rec").write_bytes(data)
    source = InsightFaceRecords(tmp_path)
    assert source.labels.tolist() == [0, 0, 0, 0]
    with refuses("train.rec", f"offset {offset}", error=InputError):
        source.load(1)


@pytest.mark.parametrize(
    ("key", "content"),
    [
        (8, pack([1.0, 4.0], 8)),  # overlaps the next range
        (8, pack([1.0, 2.0], 8)),  # leaves image 2 out
        (8, pack(1.0, 8)),  # no range; not an identity record either, so it must be refused
        (10, pack([6.0, 7.0], 10)),  # leaves the last image out
        (5, pack(100.0, 5, IMAGES[4])),  # the label at the end of range 3 to 6 is another
        (0, pack([2.0**24 + 8, 2.0**24 + 11], 0, id2=1)),  # counts rounded to float32
        (0, pack([8.0, 1e30], 0, id2=1)),  # damaged
    ],
)
def test_where_the_ranges_are_not_plain_the_label_of_each_image_counts(tmp_path, key, content):
    contents = DIALECTS["classic"] | {key: content}
    write_records(tmp_path / "train.rec", contents)
    if content == pack(1.0, 8):
        with refuses("train.rec record 8", "no image", "cut off", error=InputError):
            InsightFaceRecords(tmp_path)
    else:
        expected = [0, 0, 1, 1, 2, 2, 2] if key == 5 else LABELS
        assert InsightFaceRecords(tmp_path).labels.tolist() == expected


@pytest.mark.parametrize("ranges", [[(1, 3), (3, 3), (3, 6), (6, 8)], [(1, 3), (3, 6), (6, 8), (8, 8)]])
def test_an_identity_without_images_changes_nothing(tmp_path, ranges):
    contents = {key: pack(SCALARS[key - 1], key, IMAGES[key - 1]) for key in range(1, 8)}
    contents |= {key: pack(bounds, key) for key, bounds in enumerate(ranges, 8)}
    write_records(tmp_path / "train.rec", contents | {0: pack([8, 12], 0, id2=1)})
    assert_complete(InsightFaceRecords(tmp_path))


def test_a_classic_file_with_a_missing_key_still_gives_the_other_images(tmp_path):
    contents = classic(SCALARS, IMAGES)
    del contents[4]
    write_records(tmp_path / "train.rec", contents)
    source = InsightFaceRecords(tmp_path)
    assert source.labels.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(source.load(3), pixels(4))


@pytest.mark.parametrize("shift", range(4))
def test_an_image_split_by_the_magic_number_is_whole_again(tmp_path, shift):
    # The text chunk of a PNG file may hold anything; at one of the shifts the magic numbers in it are aligned.
    text = b"tEXt" + b"k\0" + bytes(shift) + 2 * MAGIC
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    image = IMAGES[0][:33] + chunk + IMAGES[0][33:]
    content = flat([1.0], [image])
    assert frame(content[0]).count(MAGIC) == 3
    write_records(tmp_path / "train.rec", content)
    np.testing.assert_array_equal(InsightFaceRecords(tmp_path).load(0), pixels(0))


@pytest.mark.parametrize("label", [-1.0, 0.5, float("nan"), float("inf"), 2.0**24 + 2])
def test_a_label_that_is_no_class_number_is_refused(tmp_path, label):
    write_records(tmp_path / "train.rec", flat([0.0, label], IMAGES[:2]))
    with refuses("train.rec record 1", "label", "integers", error=InputError):
        InsightFaceRecords(tmp_path)


def test_an_empty_image_is_refused(tmp_path):
    write_records(tmp_path / "train.rec", flat([0.0, 1.0], [IMAGES[0], b""]))
    with refuses("train.rec record 1", "no image", error=InputError):
        InsightFaceRecords(tmp_path)


def test_a_file_without_any_image_is_refused(tmp_path):
    write_records(tmp_path / "train.rec", {0: pack([2, 3], 0), 2: pack([1, 2], 2)})
    with refuses("train.rec record 0", "no image", error=InputError):
        InsightFaceRecords(tmp_path)


def test_a_damaged_image_is_named_when_it_is_loaded(tmp_path):
    write_records(tmp_path / "train.rec", flat([0.0, 1.0], [IMAGES[0], IMAGES[1][:60]]))
    with refuses("train.rec record 1", "cut off", error=InputError):
        InsightFaceRecords(tmp_path).load(1)


@pytest.mark.parametrize("write", [classic, flat])
@pytest.mark.parametrize("with_index", [True, False])
def test_a_file_cut_off_anywhere_is_refused_or_gives_the_images_before_the_cut(tmp_path, write, with_index):
    path = tmp_path / "train.rec"
    offsets = write_records(path, write([4.0, 4.0, 9.0], [b"image"] * 3), with_index)
    whole, accepted = path.read_bytes(), []
    for size in range(1, len(whole)):
        path.write_bytes(whole[:size])
        try:
            source = InsightFaceRecords(tmp_path)
        except InputError:
            continue
        assert source.labels.tolist() == [0, 0, 1][: len(source)]
        accepted.append(size)
    # Without an index a file that ends with one of its images is just a file with fewer images.
    ends_of_images = list(offsets.values())[1 : 4 if write is classic else 3]
    assert accepted == ([] if with_index else ends_of_images)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("4,6,5\n", ("property", "4 identities", "3")),
        ("3,6,5\n8\n", ("property", "8 images", "7")),
    ],
)
def test_a_property_file_that_disagrees_is_a_warning(tmp_path, text, facts):
    write_records(tmp_path / "train.rec", DIALECTS["classic"])
    (tmp_path / "property").write_text(text)
    with pytest.warns(UserWarning, match="property") as caught:
        assert_complete(InsightFaceRecords(tmp_path))
    assert len(caught) == 1 and caught[0].filename == __file__ and says(str(caught[0].message), *facts)


@pytest.mark.parametrize("text", ["3,6,5", "3,112,112\n7\n", "", "three\nseven\n", "\xff,\xfe"])
def test_a_property_file_that_agrees_or_says_nothing_is_passed_over(tmp_path, text):
    write_records(tmp_path / "train.rec", DIALECTS["flat"])
    (tmp_path / "property").write_text(text, encoding="latin1")
    assert_complete(InsightFaceRecords(tmp_path))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_read_what_this_process_reads(tmp_path, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    write_records(tmp_path / "train.rec", DIALECTS["classic"])
    source = InsightFaceRecords(tmp_path)
    # The worker calls what is given as collate_fn with each index.
    settings: Any = {"dataset": range(7), "batch_size": None, "collate_fn": source.load}
    loader = DataLoader(**settings, num_workers=2, multiprocessing_context=method)
    images = list(loader)
    assert len(images) == 7
    for index, image in enumerate(images):
        np.testing.assert_array_equal(image, pixels(index))


@needs_insightface
def test_the_sample_that_mxnet_wrote(tmp_path):
    source = InsightFaceRecords(INSIGHTFACE)
    assert (len(source), source.num_identities) == (274, 40)
    assert source.labels.tolist() == [int(source.records.record(place)[0].label) for place in range(274)]
    assert {source.load(index).shape for index in range(274)} == {(112, 112, 3)}
    (tmp_path / "train.rec").write_bytes((INSIGHTFACE / "train.rec").read_bytes())
    without_index = InsightFaceRecords(tmp_path)
    assert without_index.fingerprint() == source.fingerprint()


def test_the_state_changes_with_the_file(tmp_path):
    write_records(tmp_path / "train.rec", flat(SCALARS, IMAGES))
    source = InsightFaceRecords(tmp_path)
    before = source.state()
    assert InsightFaceRecords(tmp_path).state() == before
    os.utime(tmp_path / "train.rec", ns=(0, 0))
    assert source.state() != before


class TestAnIndexOfAnotherFile:
    @staticmethod
    def shifted(tmp_path, change) -> None:
        write_records(tmp_path / "train.rec", DIALECTS["classic"])
        lines = (tmp_path / "train.idx").read_text().splitlines()
        (tmp_path / "train.idx").write_text("".join(f"{line}\n" for line in change(lines)))

    def test_whose_keys_are_others_is_named(self, tmp_path):
        self.shifted(tmp_path, lambda lines: [f"{int(k) + 1}\t{o}" for k, o in map(str.split, lines)])
        with refuses("train.rec record", "no image", str(tmp_path / "train.idx"), "delete", error=InputError):
            InsightFaceRecords(tmp_path)

    @pytest.mark.parametrize("dialect", ["classic", "flat", "flat with lists of labels"])
    @pytest.mark.parametrize("number", [0, 2])
    def test_that_leaves_out_an_image_is_named_and_used(self, tmp_path, dialect, number):
        write_records(tmp_path / "train.rec", DIALECTS[dialect])
        lines = (tmp_path / "train.idx").read_text().splitlines(keepends=True)
        del lines[number]
        (tmp_path / "train.idx").write_text("".join(lines))
        with pytest.warns(UserWarning, match=r"train\.idx leaves out .* 1 places.*delete"):
            assert len(InsightFaceRecords(tmp_path)) == 6

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_that_is_whole_leaves_out_nothing(self, tmp_path, dialect):
        write_records(tmp_path / "train.rec", DIALECTS[dialect])
        assert InsightFaceRecords(tmp_path).records.gaps() == 0
