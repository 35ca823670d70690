import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordio_writer import MAGIC, classic, flat, frame, pack, write_records
from says import refuses, says
from shared_data import INSIGHTFACE, needs_insightface

from facerec.data.readers.recordio import IRHeader, RecordFile
from facerec.errors import InputError

# Contents with the magic number nowhere, first, last, twice in a row, in the header (as an id), and at a place that is
# not aligned, where it does not count.
CONTENTS = {
    3: pack(1.0, 3, b"plain"),
    1: pack(2.0, 1, MAGIC + b"tail"),
    4: pack([3.0, 5.0], 4, b"headhead" + MAGIC),
    0: pack(4.0, 0, b"four" + MAGIC + MAGIC + b"odd"),
    0xCED7230A: pack(5.0, 0xCED7230A, b""),
    7: pack(6.0, 7, b"x" + MAGIC + b"yz"),
    8: pack([7.0, 8.0, 9.0], 8, MAGIC),
}


@pytest.fixture
def path(tmp_path):
    write_records(tmp_path / "train.rec", CONTENTS)
    return tmp_path / "train.rec"


def read_all(records):
    return {int(key): records.payload(place) for place, key in enumerate(records.keys)}


def test_records_come_back_whole_wherever_the_magic_number_stands(path):
    assert read_all(RecordFile(path)) == CONTENTS


def test_the_writer_splits_at_each_aligned_magic_number():
    parts = [(1, b"four"), (2, b""), (3, b"odd\0")]
    heads = [MAGIC + struct.pack("<I", flag << 29 | len(part.rstrip(b"\0"))) for flag, part in parts]
    expected = b"".join(head + part for head, (_, part) in zip(heads, parts, strict=True))
    assert frame(b"four" + MAGIC + MAGIC + b"odd") == expected


def test_header_with_one_label_and_with_a_list(path):
    records = RecordFile(path)
    assert records.record(0) == (IRHeader(0, 1.0, 3, 0), b"plain")
    header, image = records.record(2)
    assert (header.flag, header.id, image) == (2, 4, b"headhead" + MAGIC)
    assert isinstance(header.label, np.ndarray) and header.label.dtype == np.float32
    assert header.label.tolist() == [3.0, 5.0]


def test_without_an_index_the_keys_and_offsets_are_the_same_and_nothing_is_written(path):
    with_index = RecordFile(path)
    path.with_suffix(".idx").unlink()
    rebuilt = RecordFile(path)
    assert rebuilt.keys.dtype == rebuilt.offsets.dtype == np.int64
    assert rebuilt.keys.tolist() == with_index.keys.tolist()
    assert rebuilt.offsets.tolist() == with_index.offsets.tolist()
    assert [file.name for file in path.parent.iterdir()] == ["train.rec"]


def test_ids_that_repeat_are_not_taken_for_keys(tmp_path):
    contents = {key: pack(1.0, 0, b"x") for key in range(3)}
    write_records(tmp_path / "a.rec", contents, index=False)
    assert RecordFile(tmp_path / "a.rec").keys.tolist() == [0, 1, 2]


def test_an_index_in_any_order_gives_the_order_of_the_file(path):
    index = path.with_suffix(".idx")
    index.write_text("".join(sorted(index.read_text().splitlines(keepends=True))))
    assert list(read_all(RecordFile(path))) == list(CONTENTS)


def test_an_index_of_another_name_can_be_given(path):
    expected = RecordFile(path).keys.tolist()
    other = path.with_suffix(".idx").rename(path.with_name("other.txt"))
    assert RecordFile(path, other).keys.tolist() == expected


pieces = st.lists(st.sampled_from([MAGIC, b"", b"a", b"ab", b"four", MAGIC[:2], MAGIC[2:]]), max_size=6).map(b"".join)
labels = st.one_of(
    st.integers(0, 99).map(float), st.lists(st.integers(0, 99).map(float), min_size=1, max_size=4), st.just([0.0] * 3)
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(labels, pieces), min_size=1, max_size=5))
def test_any_records_are_read_as_written(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("any") / "train.rec"
    contents = flat(*zip(*written, strict=True))
    write_records(path, contents)
    records = RecordFile(path)
    assert read_all(records) == contents
    firsts, has_image = records.read_labels(np.arange(len(records)))
    two = [([*label, np.nan] if isinstance(label, list) else [label, np.nan])[:2] for label, _ in written]
    np.testing.assert_array_equal(firsts, np.array(two, np.float32))
    assert has_image.tolist() == [len(image) > 0 for _, image in written]


def test_a_split_record_in_a_file_larger_than_any_length(tmp_path):
    # 2^29 bytes: here the cflag of the first record, read as part of its length, would still be within the file.
    path, giant = tmp_path / "train.rec", (1 << 29) - 4
    (magic,) = struct.unpack("<f", MAGIC)
    start = frame(pack([magic, 6.0], 0, b"tail"))
    with path.open("wb") as file:
        file.write(start + MAGIC + struct.pack("<I", giant) + pack(7.0, 1))
        file.truncate(len(start) + 8 + giant)  # the rest is a hole, which takes no space
    labels, has_image = RecordFile(path).read_labels(np.arange(2))
    np.testing.assert_array_equal(labels, np.array([[magic, 6], [7, np.nan]], np.float32))
    assert has_image.all()


def test_a_file_cut_off_anywhere_is_refused_with_its_index(path):
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"train\.(rec|idx)"):
            RecordFile(path)


def test_a_file_cut_off_anywhere_but_between_records_is_refused_without_an_index(path):
    whole, ends = path.read_bytes(), RecordFile(path).offsets.tolist()
    path.with_suffix(".idx").unlink()
    for size in set(range(1, len(whole))) - set(ends):
        path.write_bytes(whole[:size])
        with refuses("train.rec", "offset", "cut off", error=InputError):
            RecordFile(path)
    for number, size in enumerate(ends[1:], start=1):
        path.write_bytes(whole[:size])
        assert list(read_all(RecordFile(path)).values()) == list(CONTENTS.values())[:number]


def test_an_index_cut_off_anywhere_is_refused(path):
    index = path.with_suffix(".idx")
    whole = index.read_text()
    for size in range(len(whole) - 1):  # the last character is a line feed that can be spared
        index.write_text(whole[:size])
        with pytest.raises(InputError, match=r"train\.(idx|rec)"):
            RecordFile(path)


def test_a_damaged_byte_harms_one_record_at_most_and_never_crashes(path):
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            records = RecordFile(path)
        except InputError as error:
            assert "train.rec" in str(error)
            continue
        assert sum(not is_as_written(records, number) for number in range(len(records))) <= 1


def is_as_written(records, number):
    try:
        records.record(number)
        records.read_labels(np.array([number]))
        return records.payload(number) == list(CONTENTS.values())[number]
    except InputError as error:
        assert says(str(error), "train.rec", "offset")
        return False


def test_a_bad_magic_number_names_file_offset_and_remedy(path):
    offset = int(RecordFile(path).offsets[2])
    data = bytearray(path.read_bytes())
    data[offset : offset + 4] = b"\0\0\0\0"
    path.write_bytes(data)
    records = RecordFile(path)
    for read in (lambda: records.payload(2), lambda: records.read_labels(np.arange(7))):
        with refuses("train.rec", f"offset {offset}", "00000000", "0a23d7ce", "fetch", "index", error=InputError):
            read()
    assert records.payload(1) == CONTENTS[1]


def test_an_index_into_the_middle_of_a_record_is_refused(path):
    index, offset = path.with_suffix(".idx"), int(RecordFile(path).offsets[3])
    second_part = offset + 8 + 28  # the header and "four" are the first
    index.write_text(index.read_text().replace(f"\t{offset}\n", f"\t{second_part}\n"))
    with refuses("train.rec", f"offset {second_part} ", error=InputError):
        RecordFile(path).payload(3)
    index.write_text(index.read_text().replace(f"\t{second_part}\n", f"\t{offset + 2}\n"))
    with refuses("train.rec", f"offset {offset + 2} ", error=InputError):
        RecordFile(path).payload(3)


def test_an_index_to_a_magic_number_within_an_image_is_refused(tmp_path):
    # What follows would be a record, but a record is aligned, and this one is not.
    path, within = tmp_path / "a.rec", 8 + 24 + 1
    write_records(path, {0: pack(1.0, 0, b"x" + frame(pack(2.0, 1, b"image"))), 2: pack(3.0, 2, b"last")})
    index = path.with_suffix(".idx")
    index.write_text(index.read_text().replace("0\t0\n", f"0\t{within}\n"))
    records = RecordFile(path)
    for read in (lambda: records.record(0), lambda: records.read_labels(np.arange(2))):
        with refuses("a.rec", f"offset {within} ", error=InputError):
            read()


def test_a_record_whose_last_part_is_missing_is_refused(tmp_path):
    first_part = frame(pack(1.0, 0, MAGIC + b"tail"))[: 8 + 24]
    (tmp_path / "a.rec").write_bytes(first_part + frame(pack(2.0, 1, b"image")))
    with refuses("a.rec", "offset 32 ", error=InputError):
        RecordFile(tmp_path / "a.rec")


@pytest.mark.parametrize("offset", [-4, 10**6, 2**62])
def test_an_index_that_points_outside_the_file_is_refused(path, offset):
    index = path.with_suffix(".idx")
    index.write_text(index.read_text() + f"99\t{offset}\n")
    with refuses("train.idx", f"offset {offset}", "outside", "fetch both again", error=InputError):
        RecordFile(path)


@pytest.mark.parametrize("text", ["", "\n", "0\t0\n1\n", "0 0 0\n", "a\tb\n", "0\t0.5\n", "\xff\x00", f"0\t{2**70}\n"])
def test_an_index_that_is_none_is_refused(path, text):
    path.with_suffix(".idx").write_text(text, encoding="latin1")
    with refuses("train.idx", "index", "delete", error=InputError):
        RecordFile(path)


@pytest.mark.parametrize("line", ["99\t0\n", "3\t36\n"])
def test_an_index_that_lists_a_record_twice_is_refused(path, line):
    index = path.with_suffix(".idx")
    index.write_text(index.read_text() + line)
    with refuses("train.idx", "twice", "delete", error=InputError):
        RecordFile(path)


def test_an_index_shorter_than_the_file_is_refused(path):
    index, last = path.with_suffix(".idx"), int(RecordFile(path).offsets[-1])
    index.write_text("".join(index.read_text().splitlines(keepends=True)[:-1]))
    with refuses("train.idx", "train.rec", f"offset {last}", "delete", error=InputError):
        RecordFile(path)


@pytest.mark.parametrize(
    ("content", "problem"), [(b"short", "an image header"), (pack([1.0] * 9, 0)[:40], "its 9 labels")]
)
def test_a_record_too_short_for_its_header_is_refused(tmp_path, content, problem):
    write_records(tmp_path / "a.rec", {0: content})
    records = RecordFile(tmp_path / "a.rec")
    for read in (lambda: records.record(0), lambda: records.read_labels(np.array([0]))):
        with refuses("a.rec", "offset 0", "too short", problem, error=InputError):
            read()


def test_a_missing_and_an_empty_file_are_refused(tmp_path):
    with refuses("none.rec", "not exist", error=InputError):
        RecordFile(tmp_path / "none.rec")
    (tmp_path / "empty.rec").touch()
    with refuses("empty.rec", "is empty", error=InputError):
        RecordFile(tmp_path / "empty.rec")


@pytest.mark.parametrize("opener", ["numpy.loadtxt", "pathlib.Path.open"])
def test_an_index_or_a_file_that_may_not_be_read_is_named(path, monkeypatch, opener):
    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(opener, refuse)
    with refuses(str(path.with_suffix("")), "Permission denied", "allow", error=InputError):
        RecordFile(path)


def test_a_copy_sent_to_another_process_takes_the_index_along_but_not_the_file(tmp_path):
    write_records(tmp_path / "a.rec", flat([1.0] * 9, [bytes(10_000)] * 9))
    records = RecordFile(tmp_path / "a.rec")
    sent = pickle.dumps(records)
    assert len(sent) < 5_000
    assert read_all(pickle.loads(sent)) == read_all(records)


@needs_insightface
def test_the_writer_of_these_tests_reproduces_a_file_that_mxnet_wrote(tmp_path):
    records = RecordFile(INSIGHTFACE / "train.rec")
    labels, images, contents = [], [], {}
    for place, key in enumerate(records.keys):
        header, image = records.record(place)
        label = header.label.tolist() if isinstance(header.label, np.ndarray) else header.label
        contents[int(key)] = pack(label, header.id, image, header.id2)
        if image:
            labels.append(label)
            images.append(image)
    write_records(tmp_path / "train.rec", contents)
    for name in ("train.rec", "train.idx"):
        assert (tmp_path / name).read_bytes() == (INSIGHTFACE / name).read_bytes()
    assert len(images) == 274 and classic(labels, images) == contents
