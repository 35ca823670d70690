import pickle

import pytest
from image_files import write_benchmark, write_faces
from recordio_writer import flat, png, write_records
from says import refuses
from shared_data import FACES, INSIGHTFACE, needs_faces, needs_insightface

from facerec.data.modules import FolderData, InsightFaceData, SyntheticData, read_benchmark
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
