"""The command that writes shards."""

import json
from pathlib import Path

import pytest
from image_files import write_noise
from recordio_writer import flat, png, write_records
from running import as_program
from says import says

from facerec.commands.main import module_of
from facerec.data.shards.sharded_source import open_faces
from facerec.data.shards.storage import Folder
from facerec.data.synthetic.synthetic_faces import SyntheticFaces

SMALL = ["data.num_identities=4", "data.images_per_identity=3", "data.num_test_identities=20", "data.num_pairs=20"]


@pytest.fixture
def write(tmp_path, capsys):
    """Run the command in ``tmp_path``; returns status, the JSON and the messages."""

    def run(*arguments: str) -> tuple[int, dict, str]:
        with as_program(tmp_path):
            status = module_of("write_shards").main(["out=out", "data.num_workers=0", *arguments])
        printed = capsys.readouterr()
        return status, json.loads(printed.out.splitlines()[-1]) if printed.out else {}, printed.err

    return run


def test_image_files_and_their_benchmarks_are_written(write, tmp_path):
    write_noise(tmp_path / "faces")
    arguments = ["data=folder", "data.root=faces", "data.benchmarks=[odd]", "images_per_shard=10"]
    status, found, said = write(*arguments)
    assert status == 0 and says(said, "out/train", "32 images", "4 shards", "out/odd", "13 images", "2 shards")
    assert found["folder"] == "out" and found["train"]["images"] == 32 and found["odd"]["shards"] == 2
    assert found["train"]["bytes"] == sum(path.stat().st_size for path in Path(tmp_path, "out/train").glob("*.tar"))
    assert write(*arguments)[:2] == (0, found)


def test_painted_faces_and_their_benchmark_are_written(write, tmp_path):
    status, found, _ = write("data=synthetic", "image_size=32", *SMALL)
    assert status == 0 and (found["train"]["images"], found["synthetic"]["images"]) == (12, 200)
    faces, painted = open_faces(Folder(tmp_path / "out/train"), None), SyntheticFaces(4, 3, image_size=32)
    assert faces.fingerprint() == painted.fingerprint()
    assert all((faces.load(index) == painted.load(index)).all() for index in range(12))


def test_a_part_of_an_archive_is_written(write, tmp_path):
    write_records(tmp_path / "train.rec", flat([5.0, 5.0, 8.0], [png(number) for number in range(3)]))
    (tmp_path / "kept.txt").write_text("2\t8\n0\t5\n")
    status, found, _ = write("data=insightface", "data.root=.", "data.train_list=kept.txt", "data.benchmarks=[]")
    assert status == 0 and found["train"]["images"] == 2
    assert open_faces(Folder(tmp_path / "out/train"), None).encoded(0) == png(2)


def test_shards_are_written_again_in_another_size(write, tmp_path):
    write_noise(tmp_path / "faces")
    assert write("data=folder", "data.root=faces", "data.benchmarks=[odd]")[0] == 0
    again = ["out=again", "data=streaming", "data.root=out", "data.benchmarks=[odd]", "images_per_shard=3"]
    assert write(*again)[1]["train"]["shards"] == 11
    before, after = (open_faces(Folder(tmp_path / name / "train"), None) for name in ("out", "again"))
    assert before.fingerprint() == after.fingerprint()
    assert all(before.encoded(index) == after.encoded(index) for index in range(32))


def test_what_cannot_be_written_is_said_before_the_work(write, tmp_path):
    write_noise(tmp_path / "faces")
    (tmp_path / "odd/train").mkdir(parents=True)
    for arguments, facts in (
        (["data=folder", "data.root=none"], ("none/train", "does not exist")),
        (["data=folder", "data.root=faces", "data.benchmarks=[train]"], ("'train'", "another name")),
        (["data=folder", "data.root=faces", "data.benchmarks=[lfw]"], ("lfw", "missing")),
        (["data=folder", "data.root=faces", "data.benchmarks=[odd]", "images_per_shard=0"], ("images_per_shard", "1")),
    ):
        status, found, said = write(*arguments)
        assert status == 1 and not found and says(said, *facts), said
        assert not (tmp_path / "out").exists()
    (tmp_path / "out/train").mkdir(parents=True)
    (tmp_path / "out/train/mine.txt").write_text("mine")
    status, _, said = write("data=folder", "data.root=faces", "data.benchmarks=[odd]")
    assert status == 1 and says(said, "out/train", "not empty") and (tmp_path / "out/train/mine.txt").exists()


def test_a_missing_image_is_named_before_the_work(write, tmp_path):
    write_noise(tmp_path / "faces")
    (tmp_path / "faces/odd/odd/3.png").unlink()
    status, _, said = write("data=folder", "data.root=faces", "data.benchmarks=[odd]")
    assert status == 1 and says(said, "3.png", "missing") and not (tmp_path / "out").exists()
