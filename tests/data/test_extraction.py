import numpy as np
import pytest
from recordio_writer import classic, flat, pack, pixels, png, write_records
from says import refuses
from shared_data import INSIGHTFACE, needs_insightface

from facerec.data.archives import extraction
from facerec.data.archives.extraction import extract
from facerec.data.archives.recordio_writer import write_training_set
from facerec.data.readers.folders import read_identity_folders
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.train_lists import read_train_list
from facerec.errors import InputError

# Seven pictures of three people, whose numbers have gaps.
CLASSES = [4.0, 4.0, 9.0, 9.0, 9.0, 100.0, 100.0]
IMAGES = [png(number) for number in range(7)]


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "archive").mkdir()
    write_records(tmp_path / "archive/train.rec", classic(CLASSES, IMAGES))
    return InsightFaceRecords(tmp_path / "archive")


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


def test_each_image_is_a_file_in_the_folder_of_its_identity(archive, tmp_path):
    assert extract(archive, tmp_path / "out") == (7, 3, 7, [])
    paths = ["004/01.png", "004/02.png", "009/03.png", "009/04.png", "009/05.png", "100/06.png", "100/07.png"]
    found = files(tmp_path / "out")
    assert [found[path] for path in paths] == IMAGES
    assert found["train.txt"].decode() == "".join(f"{path} {path[:3]}\n" for path in paths)


@pytest.mark.parametrize("read", [read_identity_folders, lambda folder: read_train_list(folder, "train.txt")])
def test_folders_and_list_are_read_as_the_archive(archive, tmp_path, read):
    extract(archive, tmp_path / "out")
    source = read(tmp_path / "out")
    assert source.labels.tolist() == archive.labels.tolist()
    for index in range(7):
        np.testing.assert_array_equal(source.load(index), pixels(index))


def test_a_flat_archive_that_is_not_in_order_makes_the_round_trip_by_its_list(tmp_path):
    classes = [2.0, 0.0, 10.0, 0.0, 1.0, 2.0, 10.0]
    (tmp_path / "archive").mkdir()
    write_records(tmp_path / "archive/train.rec", flat(classes, IMAGES))
    archive = InsightFaceRecords(tmp_path / "archive")
    extract(archive, tmp_path / "out")
    write_training_set(read_train_list(tmp_path / "out", "train.txt"), tmp_path / "again", flat=True)
    again = InsightFaceRecords(tmp_path / "again")
    assert again.labels.tolist() == archive.labels.tolist() == [2, 0, 3, 0, 1, 2, 3]
    assert [again.encoded(index) for index in range(7)] == IMAGES


@needs_insightface
def test_the_sample_is_built_again_from_what_was_extracted_byte_for_byte(tmp_path):
    extract(InsightFaceRecords(INSIGHTFACE), tmp_path / "out")
    write_training_set(read_identity_folders(tmp_path / "out"), tmp_path / "new")
    for name in ("train.rec", "train.idx", "property"):
        assert (tmp_path / "new" / name).read_bytes() == (INSIGHTFACE / name).read_bytes()


def test_an_interrupted_extract_goes_on_and_writes_nothing_twice(archive, tmp_path, monkeypatch):
    replacing, out = extraction.replacing, tmp_path / "out"

    def interrupted(path):
        if path.name == "04.png":
            path.parent.mkdir(exist_ok=True)
            (path.parent / ".partial.1.04.png").write_bytes(IMAGES[3][:20])  # as a kill would leave it
            raise KeyboardInterrupt
        return replacing(path)

    monkeypatch.setattr(extraction, "replacing", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract(archive, out)
    assert not (out / "train.txt").exists()
    before = {path: (out / path).stat().st_mtime_ns for path in files(out) if path.endswith("3.png")}
    monkeypatch.setattr(extraction, "replacing", replacing)
    assert extract(archive, out) == (7, 3, 4, [])
    assert extract(archive, out).written == 0
    assert before == {path: (out / path).stat().st_mtime_ns for path in before} and before
    extract(archive, tmp_path / "whole")
    assert files(out) == files(tmp_path / "whole")


def test_a_file_of_another_length_is_written_again(archive, tmp_path):
    extract(archive, tmp_path / "out")
    (tmp_path / "out/004/02.png").write_bytes(IMAGES[1][:30])
    assert extract(archive, tmp_path / "out").written == 1
    assert (tmp_path / "out/004/02.png").read_bytes() == IMAGES[1]


def test_what_is_no_image_is_left_out_and_named(tmp_path):
    (tmp_path / "archive").mkdir()
    write_records(tmp_path / "archive/train.rec", {0: pack(0.0, 0, png(0)), 1: pack(0.0, 1, b"text")})
    extracted = extract(InsightFaceRecords(tmp_path / "archive"), tmp_path / "out")
    assert extracted[:3] == (1, 1, 1)
    assert extracted.damaged == [
        "image train.rec record 1 is not a JPEG, PNG, BMP or WebP file: fetch it again or take it off the list"
    ]
    assert (tmp_path / "out/train.txt").read_text() == "0/0.png 0\n"


def test_an_identity_whose_every_image_is_left_out_does_not_count(tmp_path):
    (tmp_path / "archive").mkdir()
    write_records(tmp_path / "archive/train.rec", flat([0.0, 1.0, 2.0], [png(0), b"text", png(2)]))
    extracted = extract(InsightFaceRecords(tmp_path / "archive"), tmp_path / "out")
    assert (extracted.images, extracted.identities) == (2, 2)
    assert read_identity_folders(tmp_path / "out").num_identities == 2


def test_what_a_kill_left_is_removed_and_a_folder_of_such_a_name_is_not(archive, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".partial.77..extracted_from").write_text("as the first write of all leaves it")
    extract(archive, out)
    assert not list(out.glob(".partial.*"))
    (out / "004/.partial.77.d").mkdir()
    (out / "004/.partial.77.01.png").write_bytes(b"half")
    extract(archive, out)
    assert [path.name for path in out.glob("*/.partial.*")] == [".partial.77.d"]


@pytest.mark.parametrize("name", [".partial.77.train.txt", ".partial.notes", ".partial.d/x"])
def test_a_persons_own_hidden_files_are_left_alone(archive, tmp_path, name):
    mine = tmp_path / "out" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with refuses("out", "train.rec", "empty folder", error=InputError):
        extract(archive, tmp_path / "out")
    assert mine.read_text() == "mine"


def test_a_folder_that_cannot_be_listed_is_one_sentence(archive, tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(extraction.Path, "iterdir", refuse)
    with refuses("out", "Permission denied", "another folder", error=InputError):
        extract(archive, tmp_path / "out")


def test_a_folder_with_other_things_is_left_alone(archive, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with refuses("out", "train.rec", "empty folder", error=InputError):
        extract(archive, tmp_path / "out")
    with refuses("out/mine.txt", "folder", "another", error=InputError):
        extract(archive, tmp_path / "out/mine.txt")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_two_archives_are_not_mixed(archive, tmp_path):
    extract(archive, tmp_path / "out")
    (tmp_path / "other").mkdir()
    write_records(tmp_path / "other/train.rec", flat(CLASSES, IMAGES))
    with refuses("out", "another archive", "other/train.rec", error=InputError):
        extract(InsightFaceRecords(tmp_path / "other"), tmp_path / "out")
