"""A run on two devices: two processes of one machine, over the network that it has with itself."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from image_files import NUM_NOISE_PAIRS, write_noise
from running import DATA, DEPTHWISE, ROOT, as_program, only_run

from facerec.commands.main import module_of


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory):
    """The folder of the run, and how its program ended."""
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("needs a PyTorch with gloo")
    folder = tmp_path_factory.mktemp("two")
    write_noise(folder / "faces")
    settings = [
        *(part for part in DEPTHWISE if part not in DATA and part != "trainer=cpu"),
        *("data=folder", "data.root=faces", "data.benchmarks=[odd]", "data.global_batch_size=8", "data.num_workers=0"),
        *("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.max_epochs=2"),
        *("resume=auto", f"+callbacks.losses={{_target_: rank_losses.RankLosses, folder: '{folder}'}}"),
    ]
    alone = {key: value for key, value in os.environ.items() if key not in ("LOCAL_RANK", "NODE_RANK", "MASTER_PORT")}
    ended = subprocess.run(
        [sys.executable, ROOT / "train.py", *settings],
        cwd=folder,
        env={**alone, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *sys.path])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return folder, ended


def test_the_program_ends_well_and_says_nothing_twice(two_devices):
    _, ended = two_devices
    assert ended.returncode == 0, ended.stderr
    assert "MEMBER: 2/2" in ended.stderr
    assert "warn" not in ended.stderr.lower() and "sync_dist" not in ended.stderr and "deprecated" not in ended.stderr
    assert ended.stdout.count("accuracy in percent") == 1
    for notice in ("no unfinished run", "lr_scheduler.milestones", "done: "):
        assert ended.stderr.count(notice) == 1


def test_both_processes_share_one_folder_with_the_files_of_any_run(two_devices):
    folder, _ = two_devices
    assert sorted(path.name for path in only_run(folder).iterdir()) == [
        *(".hydra", "best.ckpt", "config.yaml", "last.ckpt", "metrics.csv"),
        *("results.json", "run.json", "scores.npz", "tensorboard"),
    ]
    assert len((only_run(folder) / "metrics.csv").read_text().splitlines()) == 1 + 2


def test_each_step_trains_on_the_whole_batch(two_devices):
    folder, _ = two_devices
    checkpoint = torch.load(only_run(folder) / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 2 * (4 * 8 // 8)


def test_the_loss_is_that_of_both_devices(two_devices):
    folder, _ = two_devices
    with (only_run(folder) / "metrics.csv").open(newline="") as file:
        logged = [float(row["train/loss_epoch"]) for row in csv.DictReader(file)]
    losses = [np.loadtxt(folder / f"losses.{rank}.txt").reshape(2, 4) for rank in range(2)]
    assert not np.allclose(losses[0], losses[1])
    np.testing.assert_allclose(logged, np.mean(losses, (0, 2)), rtol=1e-5)


def test_one_device_verifies_the_same(two_devices, capsys):
    folder, _ = two_devices
    run = only_run(folder)
    results = json.loads((run / "results.json").read_text())
    for name in ("best", "last"):
        with as_program(folder):
            arguments = [f"checkpoint={run / name}.ckpt", "trainer=cpu"]
            assert module_of("evaluate").main(arguments) == 0
        alone = json.loads(capsys.readouterr().out.splitlines()[-1])["benchmarks"]["odd"]
        together = results[name]["benchmarks"]["odd"]
        assert together["num_pairs"] == alone["num_pairs"] == NUM_NOISE_PAIRS
        assert together["accuracy"] == alone["accuracy"]
        np.testing.assert_allclose(together["thresholds"], alone["thresholds"], rtol=1e-4)
        assert together["auc"] == pytest.approx(alone["auc"])
