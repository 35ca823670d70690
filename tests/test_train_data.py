"""Whole runs with identities held out, identities drawn alike, and images changed at random."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from running import DEPTHWISE, ONE_EPOCH, THREE_EPOCHS, as_evaluated, as_program, only_run, train, trained
from says import says

from facerec.commands.main import module_of

CHANGED = [
    *("data.num_identities=32", "data.images_per_identity=4", "data.held_out_identities=20"),
    "augmentation@data.train_augmentation=[rotation,shear,scale,translation,erasing,jitter,low_resolution]",
    *("augmentation@data.test_augmentation=translation", "affine_strength=0.5", "data.sampling=identities"),
]
SETTINGS = [*DEPTHWISE, *THREE_EPOCHS, *CHANGED]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return trained(tmp_path_factory.mktemp("changed"), *SETTINGS)


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text())


def metrics(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "images_per_second"} for row in csv.DictReader(file)]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "last.ckpt", weights_only=True)["state_dict"]


def evaluated(folder: Path, capsys, *arguments: str) -> dict:
    with as_program(folder):
        assert module_of("evaluate").main(list(arguments)) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_best_epoch_is_chosen_on_held_out_identities_alone(run):
    found, rows = results(run), metrics(run)
    held_out = [float(row["held_out/accuracy"]) for row in rows]
    assert found["best_chosen_on"] == ["held_out"] and found["best"]["epoch"] == int(np.argmax(held_out))
    assert found["best"]["benchmarks"]["held_out"]["accuracy"] == pytest.approx(max(held_out))
    assert [row["mean_accuracy"] for row in rows] == [row["synthetic/accuracy"] for row in rows]
    assert found["data"]["train"]["identities"] == 12 and found["data"]["train"]["images"] == 48
    assert list(found["data"]["benchmarks"]) == ["synthetic", "held_out"]


def test_without_them_it_is_chosen_on_the_benchmarks(depthwise_run):
    assert results(depthwise_run)["best_chosen_on"] == ["synthetic"]


def test_a_resumed_run_equals_one_that_was_never_interrupted(run, tmp_path):
    crash = "+callbacks.crash={_target_: interruption.Crash, step: 4}"
    assert train(tmp_path, *SETTINGS, "data.num_workers=1", crash) == 1
    resumed = trained(tmp_path, *SETTINGS, "data.num_workers=1", "resume=auto")
    assert resumed == only_run(tmp_path)
    assert all(torch.equal(weights(resumed)[name], weight) for name, weight in weights(run).items())
    assert metrics(resumed) == metrics(run)
    for key in ("best", "last", "data", "best_chosen_on"):
        assert results(resumed)[key] == results(run)[key]


def test_a_checkpoint_is_evaluated_under_its_own_transform_another_or_none(run, tmp_path, capsys):
    def synthetic(*arguments: str) -> dict:
        found = evaluated(tmp_path, capsys, f"checkpoint={run / 'best.ckpt'}", *arguments)
        assert list(found["benchmarks"]) == ["synthetic"]
        return found["benchmarks"]["synthetic"]

    own, clean = synthetic(), synthetic("augmentation@data.test_augmentation=none")
    turned = synthetic("augmentation@data.test_augmentation=rotation", "data.test_augmentation.rotation.strength=3")
    assert own == results(run)["best"]["benchmarks"]["synthetic"]
    assert len({tuple(found["thresholds"]) for found in (own, clean, turned)}) == 3


def test_a_checkpoint_from_before_there_were_transforms_is_evaluated_under_one(depthwise_run, tmp_path, capsys):
    checkpoint = torch.load(depthwise_run / "best.ckpt", weights_only=True)
    for key in ("sampling", "held_out_identities", "held_out_seed", "train_augmentation", "test_augmentation"):
        del checkpoint["config"]["data"][key]
    del checkpoint["config"]["affine_strength"]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    path = f"checkpoint={tmp_path / 'old.ckpt'}"
    plain = evaluated(tmp_path, capsys, path)
    assert as_evaluated(plain["benchmarks"]) == as_evaluated(results(depthwise_run)["best"]["benchmarks"])
    turned = evaluated(tmp_path, capsys, path, "augmentation@data.test_augmentation=[rotation,jitter]")
    assert turned["benchmarks"]["synthetic"]["thresholds"] != plain["benchmarks"]["synthetic"]["thresholds"]


def test_the_sensitivity_study_names_each_cell_after_its_transform_and_strength(tmp_path):
    """Of the sweep's own values the operators and strengths are narrowed to one."""
    chosen = ["affine_strength=1.0", "augmentation@data.train_augmentation=shear,scale"]
    assert train(tmp_path, "-m", *DEPTHWISE, *ONE_EPOCH, "sweep=table5", *chosen) == 0
    found = {file.parent.name: results(file.parent) for file in (tmp_path / "outputs/table5").glob("*/*.json")}
    for name, transform in zip(sorted(found), ("scale", "shear"), strict=True):
        assert f"augmentation@data.train_augmentation={transform}" in name and "affine_strength=1.0" in name
        assert list(found[name]["config"]["data"]["train_augmentation"]) == [transform]


def test_a_checkpoint_without_benchmarks_is_evaluated_on_its_held_out_identities(tmp_path, capsys):
    people = ["data.num_identities=24", "data.held_out_identities=20", "data.benchmarks=[]"]
    run = trained(tmp_path / "run", *DEPTHWISE, *ONE_EPOCH, *people)
    found = evaluated(tmp_path, capsys, f"checkpoint={run / 'best.ckpt'}")
    assert found["benchmarks"] == results(run)["best"]["benchmarks"]
    assert list(found["benchmarks"]) == ["held_out"]


def test_a_run_is_not_resumed_on_people_that_were_trained_on_and_are_held_out_now(run, tmp_path, capsys):
    crash = "+callbacks.crash={_target_: interruption.Crash, step: 4}"
    assert train(tmp_path, *SETTINGS, crash) == 1
    (unfinished,) = (tmp_path / "outputs").glob("*/*/last.ckpt")
    assert train(tmp_path, *SETTINGS, "data.held_out_seed=5", "resume=auto") == 1
    assert says(capsys.readouterr().err, "failed: ", "checkpoint", "images", "fingerprint", "data.held_out_seed")
    older = torch.load(unfinished, weights_only=True)
    assert older.pop("SyntheticData")["train_fingerprint"] == results(run)["data"]["train"]["fingerprint"]
    torch.save(older, tmp_path / "older.ckpt")
    assert train(tmp_path, *SETTINGS, "resume=older.ckpt") == 0


def test_a_transform_without_a_place_is_refused(tmp_path, capsys):
    assert train(tmp_path, *DEPTHWISE, "augmentation=rotation") == 1
    remedies = ("augmentation@data.train_augmentation=rotation", "augmentation@data.test_augmentation=rotation")
    assert says(capsys.readouterr().err, "failed: ", *remedies)
