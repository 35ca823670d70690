"""The data module of shards in a folder."""

import pytest
from folder_data import ready, trainer
from image_files import write_benchmark
from says import refuses

from facerec.data.shards.shard_order import ShardOrder
from facerec.data.shards.streaming_data import StreamingData
from facerec.doctor.check import check_data
from facerec.errors import InputError


def module(root, **changes) -> StreamingData:
    arguments = {"benchmarks": ["odd"], "image_size": (32, 32), "global_batch_size": 8, "num_workers": 0}
    made = StreamingData(root=str(root), **{**arguments, **changes})
    made.trainer = trainer()
    return made


def test_a_folder_needs_no_copies(shards, tmp_path):
    data = ready(module(shards, shard_cache=str(tmp_path / "cache")))
    assert len(list(data.train_dataloader())) == 4 and not (tmp_path / "cache").exists()


def test_a_benchmark_that_is_no_shard_is_read_as_with_image_files(shards):
    write_benchmark(shards, "pairs", 10)
    data = ready(module(shards, benchmarks=["odd", "pairs"]))
    assert [len(benchmark) for benchmark in data.opened_benchmarks] == [20, 20]
    with refuses("lfw", str(shards), error=InputError):
        module(shards, benchmarks=["lfw"]).setup("fit")


@pytest.mark.parametrize("options", [{}, {"cache": "pixels"}, {"sampling": "identities"}], ids=str)
def test_the_settings_of_all_data_are_taken(shards, tmp_path, options):
    if "cache" in options:
        options = {"cache": str(tmp_path / options["cache"])}
    data = ready(module(shards, mixed_shards=3, **options))
    sampler = data.train_dataloader().sampler
    assert isinstance(sampler, ShardOrder) == ("sampling" not in options)
    assert sum(len(labels) for _, labels in data.train_dataloader()) == 32


def test_the_check_reads_shards(shards):
    report = check_data(module(shards))
    assert (report.images, report.identities, report.problems) == (32, 4, [])
    (shards / "train/00001.tar").unlink()
    (problem,) = check_data(module(shards)).problems
    assert "00001.tar" in problem


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ({"mixed_shards": 0}, ("mixed_shards", "at least 1", "0")),
        ({"mixed_shards": 2.5}, ("mixed_shards", "integer", "2.5")),
        ({"shard_cache_gb": -1}, ("shard_cache_gb", "-1")),
        ({"shard_cache_gb": float("nan")}, ("shard_cache_gb", "nan")),
    ],
)
def test_wrong_numbers_are_refused(shards, options, facts):
    with refuses(*facts):
        module(shards, **options)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    for root in (tmp_path / "none", "gs://faces"):
        with refuses(str(root), "data.root" if isinstance(root, str) else "does not exist", error=InputError):
            module(root).setup("fit")
