"""Whole runs with another optimisation than the paper's, and what they continue from."""

import json
from pathlib import Path

import pytest
import torch
from running import DEPTHWISE, THREE_EPOCHS, only_run, train, trained
from says import says

from facerec.config.compose import compose, resolved

CRASH = "+callbacks.crash={_target_: interruption.Crash, step: 6}"
FREE = [*DEPTHWISE, "trainer.max_epochs=3", "optimizer.lr=0.02", "logger=none"]
NEWER = ["lr_scheduler=cosine", "lr_scheduler.warmup_epochs=0.6", "parameter_groups=by_kind", "trainer.ema=0.8"]
MODERN = [*FREE, *NEWER, "trainer.gradient_clip_val=5.0"]


def checkpoint(run: Path, name: str = "last") -> dict:
    return torch.load(run / f"{name}.ckpt", weights_only=True)


def assert_same_tensors(ours: dict, theirs: dict) -> None:
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.fixture(scope="module")
def modern(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("modern"), *MODERN)


def test_a_resumed_run_equals_one_that_was_never_interrupted(modern, tmp_path):
    assert train(tmp_path, *MODERN, CRASH) == 1
    trained(tmp_path, *MODERN, "resume=auto")
    for name in ("last", "best"):
        ours, theirs = checkpoint(only_run(tmp_path), name), checkpoint(modern, name)
        for key in ("state_dict", "current_model_state", "averaging_state"):
            assert_same_tensors(ours[key], theirs[key])
        assert ours["lr_schedulers"] == theirs["lr_schedulers"] and ours["epoch"] == theirs["epoch"]
    ours, theirs = (json.loads((run / "results.json").read_text()) for run in (only_run(tmp_path), modern))
    assert (ours["best"], ours["last"]) == (theirs["best"], theirs["last"])


def test_the_average_changes_what_is_saved_and_verified_and_not_what_is_trained(modern, tmp_path):
    plain = trained(tmp_path, *MODERN, "trainer.ema=null")
    assert_same_tensors(checkpoint(plain)["state_dict"], checkpoint(modern)["current_model_state"])
    averaged = checkpoint(modern)["state_dict"]
    assert not torch.equal(averaged["head.weight"], checkpoint(plain)["state_dict"]["head.weight"])
    found = json.loads((modern / "results.json").read_text())["last"]["benchmarks"]["synthetic"]["accuracy"]
    last_row = (modern / "metrics.csv").read_text().splitlines()[-1].split(",")
    header = (modern / "metrics.csv").read_text().splitlines()[0].split(",")
    assert float(last_row[header.index("mean_accuracy")]) == pytest.approx(found, abs=1e-5)


def test_a_run_without_the_average_does_not_go_on_from_one_with_it(modern, tmp_path, capsys):
    arguments = [*MODERN, "trainer.ema=null", f"resume={modern / 'last.ckpt'}"]
    assert train(tmp_path, *arguments) == 1
    assert says(capsys.readouterr().err, "trainer.ema=0.8", "trainer.ema=None", "add trainer.ema=0.8")


@pytest.mark.parametrize("key", ["averaging_state", "current_model_state"])
def test_a_checkpoint_that_lacks_one_of_the_two_is_refused(key, modern, tmp_path, capsys):
    content = checkpoint(modern)
    del content[key]
    torch.save(content, tmp_path / "last.ckpt")
    assert train(tmp_path, *MODERN, "trainer.max_epochs=4", "lr_scheduler.T_max=3", f"resume={tmp_path}/last.ckpt") == 1
    said = capsys.readouterr().err
    assert says(said, key, "without resume") and "Traceback" not in said


def test_the_default_continues_a_run_with_pytorchs_schedule_as_if_it_had_been_its_own(depthwise_run, tmp_path):
    """In version 0.1 it was stepped once per epoch."""
    old = [*DEPTHWISE, *THREE_EPOCHS, "lr_scheduler._target_=torch.optim.lr_scheduler.MultiStepLR"]
    assert train(tmp_path, *old, "~lr_scheduler.warmup_epochs", CRASH) == 1
    last = only_run(tmp_path) / "last.ckpt"
    assert checkpoint(last.parent)["lr_schedulers"][0]["last_epoch"] == 1
    run = trained(tmp_path, *DEPTHWISE, *THREE_EPOCHS, "resume=auto")
    assert_same_tensors(checkpoint(run)["state_dict"], checkpoint(depthwise_run)["state_dict"])
    assert checkpoint(run)["lr_schedulers"] == checkpoint(depthwise_run)["lr_schedulers"]


def test_gradients_are_clipped(tmp_path):
    """To almost nothing: the weights stay where weight decay, which is none here, leaves them."""
    settings = [*FREE, "trainer.max_epochs=1", "optimizer.weight_decay=0"]
    still = trained(tmp_path / "a", *settings, "trainer.gradient_clip_val=1e-9")
    moving = trained(tmp_path / "b", *settings, "trainer.gradient_clip_val=1e9")
    free = trained(tmp_path / "c", *settings)
    weights = [checkpoint(run)["state_dict"]["head.weight"] for run in (still, moving, free)]
    torch.testing.assert_close(weights[0].norm(dim=1), torch.ones(8), rtol=0, atol=1e-6)  # as drawn
    assert torch.equal(weights[1], weights[2]) and not torch.allclose(weights[0], weights[2], atol=1e-4)


def test_the_modern_experiment_is_what_the_page_says():
    ours, default = (resolved(compose([*experiment, "data.root=x"])) for experiment in (["experiment=modern"], []))
    assert ours["backbone"]["_target_"].endswith("MobileFaceNet") and ours["backbone"]["width"] == 0.25
    assert ours["operator"]["_target_"].endswith("GridDepthwise") and ours["operator"]["grid_size"] == 3
    assert {key for key in ours if ours[key] != default[key]} == {"backbone", "operator", "width"}
