"""A run on two devices: two processes of one machine, over the network that it has with itself."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from image_files import NUM_NOISE_PAIRS, write_noise
from running import DATA, DEPTHWISE, ROOT, as_program, only_run
from says import says

from facerec.commands.main import module_of


def started(folder, *settings) -> subprocess.Popen[str]:
    """A run on two devices, in a session of its own, on noise images below ``folder``."""
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("needs a PyTorch with gloo")
    write_noise(folder / "faces")
    settings = [
        *(part for part in DEPTHWISE if part not in DATA and part != "trainer=cpu"),
        *("data=folder", "data.root=faces", "data.benchmarks=[odd]", "data.global_batch_size=8", "data.num_workers=0"),
        *("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", *settings),
    ]
    alone = {key: value for key, value in os.environ.items() if key not in ("LOCAL_RANK", "NODE_RANK", "MASTER_PORT")}
    return subprocess.Popen(
        [sys.executable, ROOT / "train.py", *settings],
        cwd=folder,
        env={**alone, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory):
    """The folder of the run, and how its program ended."""
    folder = tmp_path_factory.mktemp("two")
    losses = f"+callbacks.losses={{_target_: rank_losses.RankLosses, folder: '{folder}'}}"
    program = started(folder, "trainer.max_epochs=2", "resume=auto", losses)
    printed, said = program.communicate(timeout=300)
    return folder, subprocess.CompletedProcess(program.args, program.returncode, printed, said)


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
        *(".hydra", "best.ckpt", "config.yaml", "last.ckpt", "last_scores.npz", "metrics.csv"),
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


@pytest.mark.parametrize("rank", ["null", "1"])
def test_why_it_failed_is_said_once_whichever_device_it_was(rank, tmp_path):
    program = started(tmp_path, "logger=none", f"+callbacks.refusal={{_target_: interruption.Refusal, rank: {rank}}}")
    _, said = program.communicate(timeout=300)
    assert program.returncode == 1 and said.count("failed: ") == 1, said
    assert says(said, "an image cannot be read") and not says(said, "Traceback"), said


def test_sigterm_to_all_processes_ends_them(tmp_path):
    program = started(tmp_path, "trainer.max_epochs=10000", "logger=none")
    try:
        while not list(tmp_path.glob("outputs/*/*/last.ckpt")):
            assert program.poll() is None, program.communicate()
            time.sleep(0.2)
        os.killpg(program.pid, signal.SIGTERM)
        _, said = program.communicate(timeout=60)  # both hold the pipe
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
    assert program.returncode == 143 and says(said, "stopped", "resume=auto")
