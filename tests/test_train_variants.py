"""Other networks, heads, precisions and ways of training than the default: one epoch of each."""

import csv
import json
from pathlib import Path
from statistics import mean

import pytest
import torch
from running import DEPTHWISE, ONE_EPOCH, TVCONV, trained
from says import says

PYTORCHS = ["lr_scheduler._target_=torch.optim.lr_scheduler.CosineAnnealingWarmRestarts", "+lr_scheduler.T_0=3"]
PYTORCHS += [f"~lr_scheduler.{key}" for key in ("milestones", "gamma", "warmup_epochs")]
# The settings, and what of the results shows that they were followed.
VARIANTS = {
    "bfloat16": (["trainer.precision=bf16-mixed"], {"config.trainer.precision": "bf16-mixed"}),
    "ShuffleNetV2": (["backbone=sfv2"], {"config.backbone._target_": "facerec.backbones.ShuffleNetV2"}),
    "ArcFace": (["head=arcface"], {"config.head.margin": 0.5}),
    "AdaFace": (["head=adaface"], {"config.head.h": 0.333}),
    "CurricularFace": (["head=curricularface"], {"config.head.t_alpha": 0.01}),
    "MagFace": (["head=magface", "head.lower_norm=1"], {"config.head.regularisation": 35}),
    "sub-centres": (["head=subcentre_arcface"], {"config.head.num_centres": 3}),
    "combined margin": (["head=combined_margin"], {"config.head.m3": 0.2}),
    "cosine": (["lr_scheduler=cosine"], {"config.lr_scheduler.T_max": 1}),
    "polynomial": (["lr_scheduler=poly", "optimizer=adamw"], {"config.optimizer.weight_decay": 0.01}),
    "PyTorch's schedule": (PYTORCHS, {"config.lr_scheduler.T_0": 3}),
    "no logger": (["logger=none"], {}),
    "a loading process": (["data.num_workers=1"], {"config.data.num_workers": 1}),
    "two benchmarks": (
        ["data.benchmarks=[synthetic,synthetic_pose]", "protocol=insightface"],
        {"protocol": "insightface", "best.benchmarks.synthetic_pose.num_pairs": 40},
    ),
    "few callbacks": ([f"~callbacks.{name}" for name in ("pictures", "progress", "metrics", "not_a_number")], {}),
    "smoke": (["trainer=smoke"], {"config.trainer.limit_train_batches": 2}),
}


def check(run: Path, expected: dict[str, object]) -> None:
    results = json.loads((run / "results.json").read_text())
    for key, value in expected.items():
        found = results
        for part in key.split("."):
            found = found[part]
        assert found == value
    accuracies = [summary["accuracy"] for summary in results["last"]["benchmarks"].values()]
    assert list(results["last"]["benchmarks"]) == results["config"]["data"]["benchmarks"]
    weights = torch.load(run / "last.ckpt", weights_only=True)["state_dict"].values()
    assert all(weight.isfinite().all() for weight in weights)
    if (run / "metrics.csv").exists():
        with (run / "metrics.csv").open(newline="") as file:
            row = list(csv.DictReader(file))[-1]
        assert float(row["mean_accuracy"]) == pytest.approx(mean(accuracies), abs=1e-5)
    assert {weight.dtype for weight in weights} <= {torch.float32, torch.int64}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_depthwise_network_trains(variant, tmp_path):
    settings, expected = VARIANTS[variant]
    check(trained(tmp_path, *DEPTHWISE, *ONE_EPOCH, *settings), expected)


@pytest.mark.parametrize("head", ["adaface", "curricularface"])
def test_a_resumed_run_goes_on_with_the_averages_of_its_head(head, tmp_path):
    settings = [*DEPTHWISE, f"head={head}", "optimizer.lr=0.02", "logger=none"]
    whole = trained(tmp_path / "whole", *settings, "trainer.max_epochs=2")
    half = trained(tmp_path / "half", *settings, "trainer.max_epochs=1")
    resumed = trained(tmp_path / "resumed", *settings, "trainer.max_epochs=2", f"resume={half / 'last.ckpt'}")
    states = [torch.load(run / "last.ckpt", weights_only=True)["state_dict"] for run in (whole, half, resumed)]
    averages = [name for name in states[0] if name in ("head.mean", "head.std", "head.t")]
    assert averages and all(states[0][name] != states[1][name] for name in averages)
    assert all(torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_an_epoch_that_is_not_verified_has_no_accuracy_and_is_never_the_best(tmp_path):
    settings = ["trainer.max_epochs=3", "+trainer.check_val_every_n_epoch=2", "logger=none"]
    run = trained(tmp_path, *DEPTHWISE, *settings)
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["mean_accuracy"]) for row in rows] == [False, True, False]
    assert all(row["lr"] and row["train/loss_epoch"] for row in rows)
    assert json.loads((run / "results.json").read_text())["best"]["epoch"] == 1


def test_the_last_checkpoint_stands_for_the_best_where_no_epoch_was_verified(tmp_path, capsys):
    run = trained(tmp_path, *DEPTHWISE, *ONE_EPOCH, "+trainer.max_steps=2", "logger=none")
    results = json.loads((run / "results.json").read_text())
    assert results["best"] == results["last"] and results["best"]["checkpoint"] == "last.ckpt"
    assert says(capsys.readouterr().err, "last.ckpt", "best", "verif")


@pytest.mark.parametrize("variant", ["bfloat16", "ShuffleNetV2"])
def test_tvconv_trains(variant, tmp_path):
    settings, expected = VARIANTS[variant]
    check(trained(tmp_path, *TVCONV, *ONE_EPOCH, *settings), expected)
