import os

import numpy as np
import pytest
from image_files import GREEN, RED, plain, write_faces, write_image, write_text
from recordio_writer import classic, flat, pixels, png, write_records
from says import every, refuses, says

from facerec.data.archives.extraction import extract
from facerec.data.archives.recordio_writer import write_training_set
from facerec.data.readers.folders import read_identity_folders
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.train_lists import read_record_list, read_train_list, write_train_list
from facerec.data.source import refuse, refuse_missing
from facerec.errors import InputError


def test_a_first_line_that_is_no_path_is_one_sentence(tmp_path):
    write_text(tmp_path / "list.txt", f"{'long' * 100} ann\n")
    with refuses("list.txt", "no image", "longlong", "folder", error=InputError):
        read_train_list(tmp_path, "list.txt")


@pytest.mark.parametrize("separator", [" ", "\t"])
def test_identities_before_the_paths_are_named(tmp_path, separator):
    write_faces(tmp_path)
    write_text(tmp_path / "list.txt", "".join(f"{n}{separator}train/ann/{n}.png\n" for n in (0, 0, 1)))
    with refuses("line 1", "list.txt", "'0'", "before", "train/ann/0.png", "PATH IDENTITY", error=InputError):
        read_train_list(tmp_path, "list.txt")


def test_an_identity_may_look_like_a_path_of_an_image(tmp_path):
    write_faces(tmp_path)
    write_text(tmp_path / "list.txt", "train/ann/0.png ann/0.png\n")
    assert read_train_list(tmp_path, "list.txt").identity_name(0) == "ann/0.png"


@pytest.mark.skipif(os.sep == "\\", reason="there, both are separators")
def test_paths_of_windows_are_named(tmp_path):
    write_faces(tmp_path)
    write_text(tmp_path / "list.txt", "train\\ann\\0.png a\n")
    with refuses("list.txt", "ann\\0.png", "write /", error=InputError):
        read_train_list(tmp_path, "list.txt")
    write_text(tmp_path / "list.txt", "train/ann/0.png a\ntrain\\ann\\1.png a\n")
    with refuses("line 2", "ann\\1.png", "write /", error=InputError):
        refuse_missing(read_train_list(tmp_path, "list.txt"))


class TestFolders:
    ODD = ("José Núñez/müde Augen.png", "#1/a.png", " lee/ a.png", "-/b c.png", "ann/a.png", "ann /a.png",
           "\ufeffann/a.png", "ann\u00a0/ .png")  # fmt: skip

    @pytest.fixture
    def faces(self, tmp_path):
        for name in self.ODD:
            write_image(tmp_path / "train" / name, plain(GREEN))
        return read_identity_folders(tmp_path / "train")

    def test_a_written_list_names_the_images_and_identities_of_the_folders(self, faces, tmp_path):
        write_train_list(faces, np.arange(len(self.ODD)), tmp_path / "list.txt")
        listed = read_train_list(tmp_path / "train", tmp_path / "list.txt")
        assert [path.removeprefix("./") for path in listed.paths] == list(faces.paths)
        assert sorted(faces.paths) == sorted(self.ODD)
        refuse_missing(listed)
        names = [listed.identity_name(label) for label in listed.labels]
        assert names == [faces.identity_name(label) for label in faces.labels]
        write_train_list(listed, np.arange(len(self.ODD)), tmp_path / "again.txt")
        assert (tmp_path / "again.txt").read_bytes() == (tmp_path / "list.txt").read_bytes()

    def test_an_archive_that_is_built_from_a_written_list_has_the_identities_of_the_folders(self, faces, tmp_path):
        write_train_list(faces, np.arange(len(self.ODD)), tmp_path / "list.txt")
        for name, source in (("a", faces), ("b", read_train_list(tmp_path / "train", tmp_path / "list.txt"))):
            write_training_set(source, tmp_path / name)
        assert (tmp_path / "a/train.rec").read_bytes() == (tmp_path / "b/train.rec").read_bytes()
        assert InsightFaceRecords(tmp_path / "b").num_identities == len(self.ODD)

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
        with refuses("ann", "list", "UTF-8", error=InputError):
            faces.reference(0)

    def test_every_missing_image_is_counted_and_the_first_named_with_its_line(self, tmp_path):
        write_faces(tmp_path, images_per_identity=2)
        write_text(tmp_path / "list.txt", "# new\nann/0.png a\neve/7.png e\nbob/1.png b\nnobody/1.png n\n")
        listed = read_train_list(tmp_path / "train", tmp_path / "list.txt")
        assert listed.missing().tolist() == [1, 3]
        with refuses("eve/7.png", "line 3", "list.txt", "1 others", "restore", error=InputError):
            refuse_missing(listed)

    def test_a_path_that_starts_at_the_root_of_the_disk_stands_for_itself(self, tmp_path):
        write_image(tmp_path / "elsewhere/a.png", plain(RED))
        write_faces(tmp_path)
        write_text(tmp_path / "list.txt", f"ann/0.png ann\n{tmp_path}/elsewhere/a.png else\n")
        listed = read_train_list(tmp_path / "train", tmp_path / "list.txt")
        refuse_missing(listed)
        np.testing.assert_array_equal(listed.load(1), plain(RED))


class TestRecords:
    IMAGES = tuple(png(number) for number in range(7))
    CLASSES = (4.0, 4.0, 9.0, 9.0, 9.0, 100.0, 100.0)

    def listed(self, folder, text: str, contents=None, on_problem=refuse):
        write_records(folder / "train.rec", contents or classic(self.CLASSES, self.IMAGES))
        write_text(folder / "list.txt", text)
        return read_record_list(InsightFaceRecords(folder), folder, "list.txt", on_problem)

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

    def test_the_list_of_what_is_extracted_names_the_identities_of_the_folders(self, tmp_path):
        write_records(tmp_path / "train.rec", classic(self.CLASSES, self.IMAGES))
        extract(InsightFaceRecords(tmp_path), tmp_path / "out")
        folders, listed = read_identity_folders(tmp_path / "out"), read_train_list(tmp_path / "out", "train.txt")
        assert list(listed.paths) == list(folders.paths) and listed.labels.tolist() == folders.labels.tolist()
        assert [listed.identity_name(label) for label in range(3)] == ["004", "009", "100"]
        assert [folders.identity_name(label) for label in range(3)] == ["004", "009", "100"]

    @pytest.mark.parametrize("key", ["8", "99", "-1", "one", "ann/0.png", "99999999999999999999999"])
    def test_a_key_without_an_image_is_refused_with_its_line(self, tmp_path, key):
        with refuses(
            "line 2",
            str(tmp_path / "list.txt"),
            repr(key),
            str(tmp_path / "train.rec"),
            "KEY IDENTITY",
            error=InputError,
        ):
            self.listed(tmp_path, f"1 4\n{key} 4\n")

    def test_two_spellings_of_a_key_are_one_record(self, tmp_path):
        with refuses("line 4", "list.txt", "01", "line 2", error=InputError):
            self.listed(tmp_path, "7 100\n1 4\n2 4\n01 4\n")

    @pytest.mark.parametrize("identity", ["9", "ann"])
    def test_another_identity_than_the_archives_is_refused_with_its_line(self, tmp_path, identity):
        with refuses("line 2", "list.txt", "record 2", f"'{identity}'", "train.rec", "4", error=InputError):
            self.listed(tmp_path, f"1 4\n2 {identity}\n")

    def test_wrong_lines_are_left_out_where_that_is_wanted(self, tmp_path):
        wrong: list[tuple[int, str]] = []
        text = "5 9\n99 4\n1\t4\nalone\n2 9\n01 4\n5 9\n1 7\n007 100\n"
        subset = self.listed(tmp_path, text, on_problem=lambda number, sentence: wrong.append((number, sentence)))
        assert [subset.reference(index) for index in range(3)] == ["5", "1", "7"] and len(subset) == 3
        assert [subset.identity_name(label) for label in subset.labels] == ["9", "4", "100"]
        assert sorted(number for number, _ in wrong) == [2, 4, 5, 6, 7, 8]
        assert every(says(sentence, f"line {number}", str(tmp_path / "list.txt")) for number, sentence in wrong)
        (again,) = (sentence for number, sentence in wrong if number == 6)
        assert says(again, "01", "again", "line 3", "remove one")

    def test_records_that_are_listed_twice_are_reported_line_by_line(self, tmp_path):
        wrong: list[int] = []
        self.listed(tmp_path, "7 100\n1 4\n07 100\n01 4\n007 100\n", on_problem=lambda number, _: wrong.append(number))
        assert wrong == [3, 4, 5]

    def test_a_list_of_nothing_but_wrong_lines_is_refused(self, tmp_path):
        with refuses("list.txt", "KEY IDENTITY", "train.rec", error=InputError):
            self.listed(tmp_path, "1 9\n99 4\n", on_problem=lambda *_: None)
