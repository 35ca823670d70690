"""Whole runs that start from a checkpoint: what they train, and that they go on where they stopped."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from running import DEPTHWISE, ONE_EPOCH, THREE_EPOCHS, only_run, train, trained
from says import says

OTHERS = [*DEPTHWISE, "data.num_identities=6", "data.seed=7", "logger=none"]
ONE = ["optimizer.lr=0.02", *ONE_EPOCH, "lr_scheduler.milestones=[]"]
CRASH = "+callbacks.crash={_target_: interruption.Crash, step: 4}"


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text())


def checkpoint(run: Path, name: str = "last") -> dict:
    return torch.load(run / f"{name}.ckpt", weights_only=True)


def assert_same_tensors(ours: dict, theirs: dict) -> None:
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def backbone_of(content: dict) -> dict:
    found = {name: value for name, value in content["state_dict"].items() if name.startswith("backbone.")}
    assert len(found) > 100
    return found


@pytest.fixture(scope="module")
def head_only(tmp_path_factory, depthwise_run) -> Path:
    folder = tmp_path_factory.mktemp("head_only")
    return trained(folder, *OTHERS, *ONE, "parameter_groups=head_only", f"init={depthwise_run / 'best.ckpt'}")


def test_with_a_frozen_backbone_only_the_head_changes(head_only, depthwise_run):
    """Not even the statistics of its norms."""
    assert_same_tensors(backbone_of(checkpoint(head_only)), backbone_of(checkpoint(depthwise_run, "best")))
    head = checkpoint(head_only)["state_dict"]["head.weight"]
    assert head.shape == (6, 16) and not torch.allclose(head.norm(dim=1), torch.ones(6), rtol=0, atol=1e-6)
    found = results(head_only)["init"]
    assert found["file"] == str(depthwise_run / "best.ckpt") and found["weights"].startswith("of epoch ")
    assert found["head"].startswith("new") and list(found["backbone_values"]) == ["taken"]


def test_a_second_run_takes_the_head_of_the_first_and_trains_all(head_only, tmp_path, capsys):
    slowly = "parameter_groups.lr_factor={backbone.*:0.1}"
    run = trained(tmp_path, *OTHERS, *ONE, slowly, f"init={head_only / 'last.ckpt'}")
    assert results(run)["init"]["head"] == "taken"
    said = capsys.readouterr().err
    assert says(said, f"starting from {head_only / 'last.ckpt'}", "backbone.features", "backbone.embed", "taken")
    ours, theirs = checkpoint(run)["state_dict"], checkpoint(head_only)["state_dict"]
    assert not any(torch.equal(ours[name], theirs[name]) for name in theirs if name.endswith(".weight"))
    assert [group["lr"] for group in checkpoint(run)["optimizer_states"][0]["param_groups"]] == [0.02, 0.002]


def test_a_resumed_run_equals_one_that_was_never_interrupted_and_does_not_need_the_file(tmp_path, depthwise_run):
    shutil.copy(depthwise_run / "last.ckpt", tmp_path / "first.ckpt")
    settings = [*OTHERS, *THREE_EPOCHS, f"init={tmp_path / 'first.ckpt'}"]
    whole = trained(tmp_path / "whole", *settings)
    assert train(tmp_path / "parts", *settings, CRASH) == 1
    (tmp_path / "first.ckpt").unlink()
    resumed = trained(tmp_path / "parts", *settings, "resume=auto")
    for name in ("last", "best"):
        assert_same_tensors(checkpoint(resumed, name)["state_dict"], checkpoint(whole, name)["state_dict"])
    ours, theirs = results(resumed), results(whole)
    for key in ("init", "config", "best", "last"):
        assert ours[key] == theirs[key]
    assert ours["init"]["sha256"] and only_run(tmp_path / "parts") == resumed


def test_a_run_does_not_go_on_from_another_start(tmp_path, depthwise_run, capsys):
    last = depthwise_run / "last.ckpt"
    assert train(tmp_path, *DEPTHWISE, *THREE_EPOCHS, "trainer.max_epochs=4", f"init={last}", f"resume={last}") == 1
    assert says(capsys.readouterr().err, "init=None", f"init={last}", "leave init out", "without resume")


def test_a_file_that_is_not_there_is_named_before_the_images_are_read(tmp_path, capsys):
    assert train(tmp_path, *DEPTHWISE, "init=gone.ckpt") == 1
    said = capsys.readouterr().err
    assert says(said, "gone.ckpt", "No such file") and "Traceback" not in said
    assert not (tmp_path / "outputs").exists()


def test_maps_that_came_from_the_file_are_not_initialised_from_the_images_again(tmp_path, tvconv_run):
    tvconv = ["operator=tvconv", "operator.generator_channels=4", "operator.generator_layers=0"]
    settings = [*DEPTHWISE[:-1], *tvconv, "data.num_identities=6", "logger=none", *ONE]
    frozen = "parameter_groups.freeze=[*.affinity_maps]"
    run = trained(tmp_path, *settings, "operator.map_init=data", frozen, f"init={tvconv_run / 'last.ckpt'}")
    ours, theirs = checkpoint(run)["state_dict"], checkpoint(tvconv_run)["state_dict"]
    maps = [name for name in theirs if name.endswith("affinity_maps")]
    assert len(maps) == 17 and all(torch.equal(ours[name], theirs[name]) for name in maps)
