import io
import pickle
from pathlib import Path

import pytest
from image_files import write_benchmark, write_faces, write_text
from recordio_writer import flat, png, write_records
from says import refuses, says
from shared_data import FACES, INSIGHTFACE, needs_faces, needs_insightface

from facerec.data.modules import FolderData, InsightFaceData, SyntheticData, read_benchmark
from facerec.doctor.check import check_data
from facerec.errors import InputError


def test_a_benchmark_is_a_pair_list_or_an_archive(tmp_path):
    write_benchmark(tmp_path, "lfw")
    image = (tmp_path / "lfw/lfw/b.png").read_bytes()
    (tmp_path / "cfp.bin").write_bytes(pickle.dumps(([image] * 4, [True, False])))
    assert (read_benchmark(tmp_path, "lfw").name, len(read_benchmark(tmp_path, "lfw"))) == ("lfw", 2)
    assert (read_benchmark(tmp_path, "cfp").name, len(read_benchmark(tmp_path, "cfp"))) == ("cfp", 2)


def test_a_benchmark_that_is_neither_is_named_with_both_places(tmp_path):
    with refuses("benchmark lfw", "lfw/lfw_pair.txt", "lfw.bin", error=InputError):
        read_benchmark(tmp_path, "lfw")


def test_a_list_is_read_in_place_of_the_folder(tmp_path):
    write_faces(tmp_path)
    (tmp_path / "two.txt").write_text("train/ann/0.png a\ntrain/eve/0.png e\n")
    assert len(FolderData(root=str(tmp_path), benchmarks=[], train_list="two.txt").open_train()) == 2
    assert len(FolderData(root=str(tmp_path), benchmarks=[]).open_train()) == 12


def test_a_list_of_references_of_the_folder_is_read_with_the_same_root(tmp_path):
    write_faces(tmp_path)
    whole = FolderData(root=str(tmp_path), benchmarks=[]).open_train()
    (tmp_path / "kept.txt").write_text(f"{whole.reference(5)}\t{whole.identity_name(1)}\n")
    kept = FolderData(root=str(tmp_path), benchmarks=[], train_list="kept.txt").open_train()
    assert kept.name(0) == whole.name(5) == "bob/1.png" and kept.load(0).shape == (12, 12, 3)


def test_a_list_takes_some_records_of_an_archive(tmp_path):
    write_records(tmp_path / "train.rec", flat([5.0, 5.0, 8.0], [png(number) for number in range(3)]))
    (tmp_path / "kept.txt").write_text("2\t8\n0\t5\n")
    kept = InsightFaceData(root=str(tmp_path), benchmarks=[], train_list="kept.txt").open_train()
    assert [kept.name(index) for index in range(2)] == ["train.rec record 2", "train.rec record 0"]
    assert len(InsightFaceData(root=str(tmp_path), benchmarks=[]).open_train()) == 3


def test_synthetic_data_needs_no_file():
    module = SyntheticData(
        num_identities=4, images_per_identity=3, num_test_identities=40, num_pairs=20, global_batch_size=12
    )
    module.setup("fit")
    assert module.train_source is not None and len(module.train_source) == 12
    assert [(benchmark.name, len(benchmark)) for benchmark in module.opened_benchmarks] == [("synthetic", 20)]


@needs_faces
def test_the_real_faces_open():
    module = FolderData(root=str(FACES), train_list="train_mini.txt", benchmarks=["cfp_ff"], num_workers=0)
    module.setup("fit")
    assert module.train_source is not None
    assert (len(module.train_source), module.train_source.num_identities) == (13_591, 1_847)
    assert len(module.opened_benchmarks[0]) == 7_000 and len(module.opened_benchmarks[0].images) <= 5_000
    images, _ = module.on_after_batch_transfer(next(iter(module.val_dataloader()[0])), 0)
    assert images.shape == (128, 3, 96, 96) and -1 <= images.min() < images.max() <= 1


@needs_insightface
def test_the_insightface_sample_opens():
    module = InsightFaceData(root=str(INSIGHTFACE), benchmarks=["lfw_sample"], global_batch_size=8, num_workers=0)
    module.setup("fit")
    assert module.train_source is not None
    assert (len(module.train_source), module.train_source.num_identities) == (274, 40)
    assert len(module.opened_benchmarks[0]) == 160
    assert next(iter(module.val_dataloader()[0]))[0].shape == (128, 96, 96, 3)


@pytest.mark.parametrize(("side", "drawn"), [(48, 48), (16, 32), (600, 512)])
def test_faces_are_drawn_in_the_size_that_they_are_used_in(side, drawn):
    module = SyntheticData(num_identities=2, images_per_identity=1, image_size=(side, side))
    assert module.open_train().load(0).shape == (drawn, drawn, 3)
    assert module.open_benchmark("synthetic").images.load(0).shape == (drawn, drawn, 3)


def test_the_home_folder_is_found_where_no_shell_expands_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_faces(tmp_path / "faces")
    write_text(tmp_path / "list.txt", "train/ann/0.png a\n")
    module = FolderData(root="~/faces", benchmarks=["pairs"], train_list="~/list.txt", cache="~/cache")
    assert len(module.open_train()) == 1 and len(module.open_benchmark("pairs")) == 20
    assert module.cache == str(tmp_path / "cache")
    elsewhere = FolderData(root="~", benchmarks=[], train_folder="~/faces/train")
    assert len(elsewhere.open_train()) == len(FolderData(root="~/faces", benchmarks=[]).open_train()) > 0
    archive = InsightFaceData(root="~/faces", benchmarks=[], index_cache="~/cache", train_list="~/list.txt")
    assert (archive.root, archive.index_cache) == (str(tmp_path / "faces"), str(tmp_path / "cache"))
    assert archive.train_list == str(tmp_path / "list.txt")


def test_a_file_in_place_of_the_folder_is_said_to_be_one(tmp_path):
    write_text(tmp_path / "train.rec", "")
    for module in (FolderData, InsightFaceData):
        with refuses(str(tmp_path / "train.rec"), "is a file", "data.root", "folder that holds it", error=InputError):
            module(root=str(tmp_path / "train.rec"), benchmarks=[]).open_benchmark("lfw")
    with refuses(str(tmp_path / "train.rec"), "is a file", "check", error=InputError):
        FolderData(root=str(tmp_path), train_folder="train.rec", benchmarks=[]).open_train()


def test_synthetic_people_and_pairs_are_raised_by_their_own_names(tmp_path):
    with refuses("data.num_test_identities", "data.num_pairs", error=InputError):
        SyntheticData(num_test_identities=20, num_pairs=20_000).open_benchmark("synthetic")
    for key in ("num_identities", "images_per_identity", "num_test_identities", "num_pairs"):
        with refuses(key, "at least 1", "0"):
            SyntheticData(**{key: 0})


class TestNoPermission:
    """Root may read everything, so the refusal of the system is played."""

    @pytest.fixture
    def locked(self, monkeypatch):
        def lock(file: Path):
            def refuse(path, *arguments, **options):
                if str(path) == str(file):
                    raise PermissionError(13, "Permission denied", str(file))
                return real(path, *arguments, **options)

            real = io.open
            monkeypatch.setattr(io, "open", refuse)
            monkeypatch.setattr("builtins.open", refuse)

        return lock

    @pytest.mark.parametrize("name", ["train.rec", "property", "pairs/pairs_pair.txt", "cfp.bin", "list.txt"])
    def test_a_file_is_named_by_the_reader_and_the_check(self, tmp_path, locked, name):
        write_faces(tmp_path)
        write_records(tmp_path / "train.rec", flat([5.0, 5.0, 8.0], [png(number) for number in range(3)]))
        write_text(tmp_path / "property", "2,112,112\n")
        write_text(tmp_path / "list.txt", "0\t5\n2\t8\n")
        (tmp_path / "cfp.bin").write_bytes(pickle.dumps(([png(0), png(1)] * 20, [True, False] * 10)))
        module = InsightFaceData(
            root=str(tmp_path), benchmarks=["pairs", "cfp"], train_list="list.txt", global_batch_size=2, num_workers=0
        )
        locked(tmp_path / name)
        with refuses(str(tmp_path / name), "Permission denied", error=InputError):
            module.setup("fit")
        (problem,) = check_data(module).problems
        assert says(problem, str(tmp_path / name), "Permission denied")
