"""Whole runs on shards: the same weights and accuracy as on what the shards were written from."""

import json
from pathlib import Path

import pytest
import torch
from image_files import write_noise
from running import DEPTHWISE, as_program, only_run, train, trained
from says import says
from shard_files import upload, write_shards

from facerec.commands.main import module_of

COMMON = ["data.num_workers=0", "data.global_batch_size=8", "data.benchmarks=[odd]", *DEPTHWISE[-5:]]
SETTINGS = [*COMMON, "trainer.max_epochs=2", "lr_scheduler.milestones=[1]", "optimizer.lr=0.02"]


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> Path:
    """Noise as image files and, in eight shards, in ``shards``."""
    root = tmp_path_factory.mktemp("faces")
    write_noise(root)
    write_shards(root, root / "shards", "odd")
    return root


@pytest.fixture(scope="module")
def on_files(faces, tmp_path_factory) -> Path:
    """The run on image files."""
    return trained(tmp_path_factory.mktemp("files"), "data=folder", f"data.root={faces}", *SETTINGS)


def outcome(run: Path) -> tuple[dict, dict]:
    """Weights, and what was measured and trained on."""
    results = json.loads((run / "results.json").read_text())
    weights = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    return weights, {key: results[key] for key in ("best", "last", "data")}


def is_same(run: Path, other: Path) -> bool:
    (weights, found), (others, expected) = outcome(run), outcome(other)
    assert found == expected and weights.keys() == others.keys()
    return all(torch.equal(weights[name], others[name]) for name in weights)


def test_a_run_on_shards_is_that_on_their_files(faces, on_files, tmp_path):
    assert is_same(trained(tmp_path, "data=streaming", f"data.root={faces / 'shards'}", *SETTINGS), on_files)


def test_so_is_a_run_on_an_object_storage_and_its_checkpoint_is_evaluated_there(
    faces, on_files, bucket, tmp_path, capsys
):
    upload(faces / "shards", f"{bucket}/noise")
    run = trained(tmp_path, "data=streaming", f"data.root={bucket}/noise", *SETTINGS)
    assert is_same(run, on_files)
    assert len(list((tmp_path / "outputs/cache").glob("shard-*"))) == 8 + 1 + 4 + 1
    for root in ([], [f"data.root={bucket}/noise"]):
        capsys.readouterr()
        with as_program(tmp_path):
            status = module_of("evaluate").main([f"checkpoint={run / 'best.ckpt'}", *root])
        printed = capsys.readouterr()
        assert status == (0 if root else 1)
        if not root:
            assert says(printed.err, "data.root", "value")
    expected = json.loads((run / "results.json").read_text())["best"]["benchmarks"]["odd"]["accuracy"]
    assert json.loads(printed.out.splitlines()[-1])["benchmarks"]["odd"]["accuracy"] == expected


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_goes_on_with_few_shards_mixed_as_if_it_had_never_stopped(faces, tmp_path, workers):
    settings = ["data=streaming", f"data.root={faces / 'shards'}", "data.mixed_shards=3", *SETTINGS]
    whole = trained(tmp_path / "whole", *settings)
    crash = "+callbacks.crash={_target_: interruption.Crash, step: 6}"  # inside the second epoch
    assert train(tmp_path / "again", *settings, "trainer.save_every=1steps", crash) == 1
    again = trained(tmp_path / "again", *settings, f"data.num_workers={workers}", "resume=auto")
    assert again == only_run(tmp_path / "again") and is_same(again, whole)


def test_the_rest_of_an_epoch_is_not_trained_in_another_order(faces, tmp_path, capsys):
    settings = ["data=streaming", f"data.root={faces / 'shards'}", "trainer.save_every=1steps", *SETTINGS]
    crash = "+callbacks.crash={_target_: interruption.Crash, step: 2}"
    assert train(tmp_path, *settings, "data.mixed_shards=3", crash) == 1
    (begun,) = (tmp_path / "outputs").glob("*/*/last.ckpt")
    write_shards(faces, tmp_path / "others", "odd", images_per_shard=5)
    for others in (["data.mixed_shards=2"], [], ["data.mixed_shards=3", f"data.root={tmp_path / 'others'}"]):
        capsys.readouterr()
        assert train(tmp_path, *settings, *others, f"resume={begun}", "name=others") == 1
        assert says(capsys.readouterr().err, "failed: ", str(begun), "data.mixed_shards", "after an epoch")


def test_a_run_on_files_goes_on_on_shards(faces, on_files, tmp_path):
    crash = "+callbacks.crash={_target_: interruption.Crash, step: 5}"
    assert train(tmp_path, "data=folder", f"data.root={faces}", *SETTINGS, crash) == 1
    (unfinished,) = (tmp_path / "outputs").glob("*/*/last.ckpt")
    settings = ["data=streaming", f"data.root={faces / 'shards'}", f"resume={unfinished}", "name=shards"]
    assert train(tmp_path, *settings, *SETTINGS) == 0
    (run,) = (path.parent for path in (tmp_path / "outputs").glob("*/*/results.json"))
    assert is_same(run, on_files)


def test_a_shard_that_is_missing_ends_the_program_before_training(faces, tmp_path, capsys):
    write_shards(faces, tmp_path / "shards", "odd")
    (tmp_path / "shards/train/00003.tar").unlink()
    assert train(tmp_path, "data=streaming", f"data.root={tmp_path / 'shards'}", *SETTINGS) == 1
    assert says(capsys.readouterr().err, "failed: ", "00003.tar", "missing")
