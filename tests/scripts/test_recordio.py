import json
import subprocess
import sys

import pytest
from image_files import BLUE, GREEN, RED, encode, plain, write_faces, write_image, write_text
from recordio_writer import classic, flat, pack, png, write_records
from running import ROOT
from says import says
from shared_data import INSIGHTFACE, needs_insightface

from facerec.commands.main import module_of
from facerec.data.readers.insightface import InsightFaceRecords

CLASSES = [0.0, 0.0, 0.0, 1.0, 2.0, 2.0]


@pytest.fixture
def recordio(capsys):
    def run(*arguments):
        status = module_of("recordio").main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def rec(tmp_path):
    write_records(tmp_path / "train.rec", classic(CLASSES, [png(number) for number in range(6)]))
    return tmp_path / "train.rec"


def summary(out):
    return json.loads(out.splitlines()[-1])


def test_ls_counts_what_a_person_counts(recordio, rec):
    status, out, err = recordio("ls", rec)
    assert status == 0
    assert summary(out) == {
        "records": 10, "images": 6, "identities": 3, "images_per_identity": [1, 2, 3], "dialect": "classic",
        "labels_per_image": 1, "has_index": True, "looked_at": 6, "headers": {"PNG 6x5": 6},
    }  # fmt: skip
    assert says(err, "1 to 3", "median 2", ".idx")


def test_ls_shows_every_record(recordio, rec):
    lines = recordio("ls", rec, "records=true")[1].splitlines()
    sizes = [len(png(number)) for number in range(6)]
    assert lines[:6] == [f"{n + 1}\t{CLASSES[n]:.0f}\t{sizes[n]}\tPNG 6x5" for n in range(6)]
    assert lines[6:10] == ["7\t1,4\t0\t-", "8\t4,5\t0\t-", "9\t5,7\t0\t-", "0\t7,10\t0\t-"]


def test_ls_of_a_flat_archive_with_lists_of_labels_mixed_sizes_and_no_index(recordio, tmp_path):
    images = [png(0), encode(plain(RED), ".jpg"), encode(plain(RED), ".jpg"), b"text"]
    write_records(tmp_path / "train.rec", flat([[float(n), 0.5] for n in range(4)], images), index=False)
    status, out, err = recordio("ls", tmp_path / "train.rec", "records=true")
    found = summary(out)
    assert (status, found["dialect"], found["labels_per_image"], found["has_index"]) == (0, "flat", 2, False)
    assert found["headers"] == {"JPEG 12x12": 2, "PNG 6x5": 1, "no image": 1}
    assert out.splitlines()[3] == "3\t3,0.5\t4\tno image" and "built from the records" in err


def test_ls_of_many_records_into_a_reader_that_stops_early(rec):
    command = f"{sys.executable} {ROOT}/scripts/recordio.py ls {rec} records=true | head -1"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("1\t0\t") and "Traceback" not in ended.stderr


def test_extract_and_build_make_the_archive_again(recordio, rec, tmp_path):
    status, out, err = recordio("extract", rec, tmp_path / "out")
    assert (status, summary(out)["images"], summary(out)["written"]) == (0, 6, 6) and "6 images of 3 identities" in err
    for arguments in ([], ["list=train.txt"]):
        new = tmp_path / f"new{len(arguments)}"
        status, out, _ = recordio("build", tmp_path / "out", new, *arguments)
        assert (status, summary(out)["images"], summary(out)["dialect"]) == (0, 6, "classic")
        for suffix in (".rec", ".idx"):
            assert (new / f"train{suffix}").read_bytes() == rec.with_suffix(suffix).read_bytes()
        assert (new / "property").read_text() == "3,6,5\n"


def test_extract_names_what_is_no_image(recordio, tmp_path):
    write_records(tmp_path / "train.rec", {0: pack(0.0, 0, png(0)), 1: pack(0.0, 1, b"text")})
    status, out, err = recordio("extract", tmp_path / "train.rec", tmp_path / "out")
    assert status == 0 and says(err, "train.rec record 1", "JPEG", "1 damaged")
    assert len(summary(out)["damaged"]) == 1


def test_build_from_folders_with_spaces_and_other_letters(recordio, tmp_path):
    for identity, colour in {"Åsa Nyström": RED, "名前": GREEN, "Bo": BLUE}.items():
        write_image(tmp_path / "faces" / identity / "a picture.png", plain(colour))
    assert recordio("build", tmp_path / "faces", tmp_path / "new", "flat=true", "name=own")[0] == 0
    source = InsightFaceRecords(tmp_path / "new", "own")
    colours = [tuple(source.load(index)[0, 0].tolist()) for index in range(3)]
    assert colours == [BLUE, RED, GREEN] and source.labels.tolist() == [0, 1, 2]


def test_build_from_an_archive_takes_all_or_what_a_list_names(recordio, rec, tmp_path):
    assert recordio("build", rec, tmp_path / "same")[0] == 0
    assert (tmp_path / "same/train.rec").read_bytes() == rec.read_bytes()
    write_text(tmp_path / "kept.txt", "6\t2\n2\t0\n1\t0\n")
    assert recordio("build", rec, tmp_path / "some", f"list={tmp_path / 'kept.txt'}", "flat=true")[0] == 0
    source = InsightFaceRecords(tmp_path / "some")
    assert source.labels.tolist() == [1, 0, 0]
    assert [source.encoded(index) for index in range(3)] == [png(5), png(1), png(0)]


def test_build_replaces_an_archive_only_with_force(recordio, rec, tmp_path):
    write_faces(tmp_path / "faces")
    before = rec.read_bytes()
    status, _, err = recordio("build", tmp_path / "faces/train", tmp_path)
    assert status == 1 and says(err, str(rec), "force=true", "another folder")
    assert rec.read_bytes() == before
    assert recordio("build", tmp_path / "faces/train", tmp_path, "force=true")[0] == 0
    assert InsightFaceRecords(tmp_path).num_identities == 3 and len(InsightFaceRecords(tmp_path)) == 12


def test_build_names_a_listed_image_that_is_not_there(recordio, tmp_path):
    write_faces(tmp_path / "faces")
    write_text(tmp_path / "list.txt", "ann/0.png ann\nann/9.png ann\n")
    status, _, err = recordio("build", tmp_path / "faces/train", tmp_path / "new", f"list={tmp_path / 'list.txt'}")
    assert status == 1 and "ann/9.png" in err and "line 2" in err
    assert not (tmp_path / "new").exists()


def test_build_names_a_truncated_image(recordio, tmp_path):
    write_faces(tmp_path / "faces")
    image = tmp_path / "faces/train/bob/1.png"
    image.write_bytes(image.read_bytes()[:50])
    status, _, err = recordio("build", tmp_path / "faces/train", tmp_path / "new")
    assert status == 1 and says(err, str(image), "cut off", "50 bytes")
    assert not list((tmp_path / "new").iterdir())


def test_index_is_rebuilt_and_replaced_only_with_force(recordio, rec):
    index = rec.with_suffix(".idx")
    before = index.read_bytes()
    index.unlink()
    status, out, _ = recordio("index", rec)
    assert (status, summary(out)["records"], index.read_bytes()) == (0, 10, before)
    index.write_text("damaged")
    status, out, err = recordio("index", rec)
    assert (status, out) == (1, "") and says(err, str(index), "force=true")
    assert index.read_text() == "damaged"
    assert recordio("index", rec, "force=true")[0] == 0 and index.read_bytes() == before


@pytest.mark.parametrize("command", ["ls", "index force=true", "extract"])
def test_a_truncated_archive_is_named(recordio, rec, tmp_path, command):
    rec.write_bytes(rec.read_bytes()[:-10])
    name, *options = command.split()
    status, out, err = recordio(name, rec, *options, *([tmp_path / "out"] if name == "extract" else []))
    assert (status, out) == (1, "") and says(err, str(rec), "offset", "cut off") and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        *(
            (command, name)
            for command in ("ls", "extract", "index force=true")
            for name in ("train.idx", "lfw.bin", "", "x")
        ),
        *(("build", name) for name in ("train.idx", "lfw.bin")),
    ],
)
def test_a_file_that_is_no_rec_is_refused(recordio, rec, tmp_path, command, name):
    (rec.parent / "lfw.bin").write_bytes(b"")
    verb, *options = command.split()
    path, before = rec.parent / name, sorted(rec.parent.iterdir())
    status, out, err = recordio(verb, path, *options, *([tmp_path / "new"] if verb in ("extract", "build") else []))
    assert (status, out) == (1, "") and sorted(rec.parent.iterdir()) == before
    assert says(err, str(path), ".rec", "facerec prepare_benchmark") and err.count("\n") == 1


@pytest.mark.parametrize("command", ["ls", "extract", "index", "build"])
def test_an_archive_that_is_not_there_is_named(recordio, tmp_path, command):
    out = [tmp_path / "new"] if command in ("extract", "build") else []
    status, printed, err = recordio(command, tmp_path / "gone.rec", *out)
    assert (status, printed, err.count("\n")) == (1, "", 1) and says(err, f"{tmp_path}/gone.rec", "not exist")


def test_build_beside_another_archive_leaves_its_property(recordio, rec, tmp_path):
    write_faces(tmp_path / "faces")
    write_text(tmp_path / "property", "3,6,5\n")
    assert recordio("build", tmp_path / "faces/train", tmp_path, "name=val")[0] == 0
    assert (tmp_path / "property").read_text() == "3,6,5\n"
    rec.unlink()
    rec.with_suffix(".idx").unlink()
    status, _, err = recordio("build", tmp_path / "faces/train", tmp_path)
    assert status == 1 and says(err, f"{tmp_path}/property", "force=true")


def test_a_wrong_folder_or_list_is_said_in_words_of_this_program(recordio, tmp_path):
    write_text(tmp_path / "list.txt", "ann/0.png ann\n")
    for arguments in (
        ["gone", "new"],
        [".", "new", "list=gone.txt"],
        [".", "new", f"list={tmp_path / 'list.txt'}"],
    ):
        status, _, err = recordio("build", tmp_path / arguments[0], tmp_path / arguments[1], *arguments[2:])
        assert status == 1 and "data." not in err.replace(str(tmp_path), "")


def test_an_interruption_is_one_sentence(recordio, rec, monkeypatch):
    monkeypatch.setattr(InsightFaceRecords, "encoded", interrupted)
    status, out, err = recordio("ls", rec)
    assert (status, out, err.count("\n")) == (130, "", 1) and says(err, "interrupted", "nothing")
    status, _, err = recordio("extract", rec, rec.parent / "out")
    assert (status, err.count("\n")) == (130, 1) and says(err, "interrupted", "command again")


def interrupted(*_):
    raise KeyboardInterrupt


@needs_insightface
def test_the_sample(recordio):
    found = summary(recordio("ls", INSIGHTFACE / "train.rec")[1])
    assert (found["records"], found["images"], found["identities"]) == (315, 274, 40)
    assert found["headers"] == {"JPEG 112x112": 274} and found["images_per_identity"] == [3, 4, 39]
