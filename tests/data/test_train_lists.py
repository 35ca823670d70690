import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import GREEN, RED, plain, write_faces, write_image, write_text
from recordio_writer import classic, flat, pixels, png, write_records

from facerec.data.folders import read_identity_folders
from facerec.data.insightface import InsightFaceRecords
from facerec.data.train_lists import read_list, read_record_list, read_train_list
from facerec.errors import InputError


def rows_of(folder, text: str) -> list[tuple[str, str]]:
    (folder / "list.txt").write_bytes(text.encode())
    rows = read_list(folder, "list.txt")
    return [(path, rows.identities[label]) for path, label in zip(rows.references, rows.labels, strict=True)]


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("a.png ann", ("a.png", "ann")),
        ("my cat.png ann", ("my cat.png", "ann")),
        ("my cat.png\tann lee", ("my cat.png", "ann lee")),
        ("a.png\tann\r", ("a.png", "ann")),
        ("  a.png \t ann lee ", ("a.png", "ann lee")),
        ("a\tb.png\tann", ("a\tb.png", "ann")),
        ("李 小龙/一 二.png\t李 小龙", ("李 小龙/一 二.png", "李 小龙")),
    ],
)
def test_a_tab_or_else_the_last_space_parts_reference_and_identity(tmp_path, line, row):
    assert rows_of(tmp_path, f"{line}\n") == [row]


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda text: text == text.strip() and text[0] != "#" and text[:2] != "./"
)


@given(st.dictionaries(NAMES, NAMES, min_size=1, max_size=8))
def test_what_is_written_with_tabs_is_read(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("lists")
    text = "".join(f"{reference}\t{identity}\n" for reference, identity in rows.items())
    assert rows_of(folder, text) == list(rows.items())


def test_a_list_longer_than_a_block_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("facerec.data.train_lists._BLOCK", 50)
    expected = [(f"{number:03}.png", f"person {number % 7}") for number in range(300)]
    assert rows_of(tmp_path, "\n".join("\t".join(row) for row in expected)) == expected
    with pytest.raises(InputError, match=r"^line 301 of .* is 'alone': write PATH IDENTITY$"):
        rows_of(tmp_path, "".join(f"{number}\ta\n" for number in range(300)) + "alone\n")
    with pytest.raises(InputError, match=r"is not UTF-8 text \(byte 1690\): save it as UTF-8$"):
        rows_of(tmp_path, "".join(f"{number}\ta\n" for number in range(300)) + "\0")


@pytest.mark.parametrize("second", ["a.png ann", "a.png\tbob", "./a.png ann"])
def test_an_image_that_is_listed_twice_is_refused_with_both_lines(tmp_path, second):
    with pytest.raises(
        InputError, match=r"^line 5 of .*list\.txt names (\./)?a\.png again, after line 2: an image stands"
    ):
        rows_of(tmp_path, f"# first\na.png ann\n\nb.png ann\n{second}\n")


@pytest.mark.parametrize("method", ["open", "stat"])
def test_a_list_that_cannot_be_read_is_one_sentence(tmp_path, monkeypatch, method):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    write_text(tmp_path / "list.txt", "a.png ann\n")
    monkeypatch.setattr(Path, method, refuse)
    with pytest.raises(InputError, match=r"^training list .*list\.txt cannot be read \(Permission denied\): see to it"):
        read_list(tmp_path, "list.txt")


def test_a_first_line_that_is_no_path_is_one_sentence(tmp_path):
    write_text(tmp_path / "list.txt", f"{'long' * 100} ann\n")
    with pytest.raises(InputError, match=r"^the first image of .*list\.txt is not at .*: name the folder that its"):
        read_train_list(tmp_path, "list.txt")


def test_two_images_whose_hashes_are_equal_are_two(tmp_path, monkeypatch):
    monkeypatch.setattr("facerec.data.train_lists.hash", lambda _: 7, raising=False)
    assert rows_of(tmp_path, "a.png ann\nb.png ann\n") == [("a.png", "ann"), ("b.png", "ann")]
    with pytest.raises(InputError, match=r"line 3 .* names a\.png again"):
        rows_of(tmp_path, "a.png ann\nb.png ann\na.png ann\n")


class TestFolders:
    ODD = ("José Núñez/müde Augen.png", "#1/a.png", " lee/ a.png", "-/b c.png")

    @pytest.fixture
    def faces(self, tmp_path):
        for name in self.ODD:
            write_image(tmp_path / "train" / name, plain(GREEN))
        return read_identity_folders(tmp_path / "train")

    def test_references_and_names_of_identities_come_back_from_a_list(self, faces, tmp_path):
        rows = [f"{faces.reference(index)}\t{faces.identity_name(label)}\n" for index, label in enumerate(faces.labels)]
        write_text(tmp_path / "list.txt", "".join(rows))
        listed = read_train_list(tmp_path / "train", tmp_path / "list.txt")
        assert [path.removeprefix("./") for path in listed.paths] == list(faces.paths)
        listed.refuse_missing()
        for index in range(4):
            np.testing.assert_array_equal(listed.load(index), plain(GREEN))
        names = [listed.identity_name(label) for label in listed.labels]
        assert names == [faces.identity_name(label).strip() for label in faces.labels]

    @pytest.mark.parametrize("name", ["a\tb.png", "a\nb.png", os.fsdecode(b"Jos\xe9.png")])
    def test_a_name_that_no_list_can_hold_is_refused(self, tmp_path, name):
        path = os.path.join(tmp_path, "ann", name)
        os.mkdir(tmp_path / "ann")
        try:
            with open(path, "wb") as file:
                file.write(b"")
        except OSError:
            pytest.skip("this file system takes UTF-8 only")
        faces = read_identity_folders(tmp_path)
        assert faces.name(0) == f"ann/{name}"
        with pytest.raises(InputError, match=r"^image '.*ann.*' cannot stand in a list, which is UTF-8 text with a"):
            faces.reference(0)

    def test_every_missing_image_is_counted_and_the_first_named_with_its_line(self, tmp_path):
        write_faces(tmp_path, images_per_identity=2)
        write_text(tmp_path / "list.txt", "# new\nann/0.png a\neve/7.png e\nbob/1.png b\nnobody/1.png n\n")
        listed = read_train_list(tmp_path / "train", tmp_path / "list.txt")
        assert listed.missing().tolist() == [1, 3]
        with pytest.raises(
            InputError, match=r"^image .*eve.7\.png in line 3 of .*list\.txt is not there, nor are 1 others: restore"
        ):
            listed.refuse_missing()

    def test_a_path_that_starts_at_the_root_of_the_disk_stands_for_itself(self, tmp_path):
        write_image(tmp_path / "elsewhere/a.png", plain(RED))
        write_faces(tmp_path)
        write_text(tmp_path / "list.txt", f"ann/0.png ann\n{tmp_path}/elsewhere/a.png else\n")
        listed = read_train_list(tmp_path / "train", tmp_path / "list.txt")
        listed.refuse_missing()
        np.testing.assert_array_equal(listed.load(1), plain(RED))


class TestRecords:
    IMAGES = tuple(png(number) for number in range(7))
    CLASSES = (4.0, 4.0, 9.0, 9.0, 9.0, 100.0, 100.0)

    def listed(self, folder, text: str, contents=None):
        write_records(folder / "train.rec", contents or classic(self.CLASSES, self.IMAGES))
        write_text(folder / "list.txt", text)
        return read_record_list(InsightFaceRecords(folder), folder, "list.txt")

    def test_the_records_of_the_listed_keys_are_taken_in_the_order_of_the_list(self, tmp_path):
        subset = self.listed(tmp_path, "7\t100\n1 4\n2 4\n")
        assert [subset.name(index) for index in range(3)] == [f"train.rec record {key}" for key in (7, 1, 2)]
        assert subset.labels.tolist() == [1, 0, 0] and [subset.identity_name(label) for label in (0, 1)] == ["4", "100"]
        np.testing.assert_array_equal(subset.load(0), pixels(6))

    @pytest.mark.parametrize("dialect", [classic, flat])
    def test_a_list_of_all_references_gives_all_images(self, tmp_path, dialect):
        contents = dialect(self.CLASSES, self.IMAGES)
        write_records(tmp_path / "train.rec", contents)
        records = InsightFaceRecords(tmp_path)
        rows = [f"{records.reference(i)}\t{records.identity_name(label)}\n" for i, label in enumerate(records.labels)]
        subset = self.listed(tmp_path, "".join(rows), contents)
        assert subset.labels.tolist() == records.labels.tolist()
        for index in range(7):
            np.testing.assert_array_equal(subset.load(index), pixels(index))

    @pytest.mark.parametrize("key", ["8", "99", "-1", "one", "ann/0.png", "99999999999999999999999"])
    def test_a_key_without_an_image_is_refused_with_its_line(self, tmp_path, key):
        sentence = f"line 2 of {tmp_path / 'list.txt'} names {key!r}, and {tmp_path / 'train.rec'} holds no image under"
        with pytest.raises(InputError, match=f"^{re.escape(sentence)} that key: write KEY IDENTITY, of this archive$"):
            self.listed(tmp_path, f"1 4\n{key} 4\n")

    def test_two_spellings_of_a_key_are_one_record(self, tmp_path):
        with pytest.raises(
            InputError, match=r"^line 4 of .*list\.txt names 01 again, after line 2: an image stands in a"
        ):
            self.listed(tmp_path, "7 100\n1 4\n2 4\n01 4\n")

    @pytest.mark.parametrize("identity", ["9", "ann"])
    def test_another_identity_than_the_archives_is_refused_with_its_line(self, tmp_path, identity):
        with pytest.raises(
            InputError, match=rf"^line 2 of .*list\.txt says that record 2 is of '{identity}', and .*train\.rec says 4:"
        ):
            self.listed(tmp_path, f"1 4\n2 {identity}\n")


def test_another_kind_of_space_belongs_to_the_name(tmp_path):
    write_text(tmp_path / "list.txt", "a/0.png Jean\u00a0Dupont\n")
    rows = read_list(tmp_path, "list.txt")
    assert (rows.references[0], rows.identities) == ("a/0.png", ["Jean\u00a0Dupont"])
