"""A run on two devices: two processes of one machine, over the network that it has with itself."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import NUM_NOISE_PAIRS, write_noise
from running import DATA, DEPTHWISE, ONE_EPOCH, ROOT, as_program, only_run, train
from says import says

from facerec.commands.main import module_of

SETTINGS = [
    *(part for part in DEPTHWISE if part not in DATA and part != "trainer=cpu"),
    *("data=folder", "data.root=faces", "data.benchmarks=[odd]", "data.global_batch_size=8", "data.num_workers=0"),
    *("data.horizontal_flip=false", "optimizer.lr=0.02"),  # each device draws its own flips
]


ON_TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]


def started(
    folder: Path, *settings: str, devices: Sequence[str] = ON_TWO, program: Sequence[str] = (sys.executable,)
) -> subprocess.Popen[str]:
    """A run on two devices, in a session of its own, on noise images below ``folder``."""
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("needs a PyTorch with gloo")
    if not (folder / "faces").exists():
        write_noise(folder / "faces")
    alone = {key: value for key, value in os.environ.items() if key not in ("LOCAL_RANK", "NODE_RANK", "MASTER_PORT")}
    return subprocess.Popen(
        [*program, ROOT / "train.py", *SETTINGS, *devices, *settings],
        cwd=folder,
        env={**alone, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def losses(folder: Path) -> str:
    return f"+callbacks.losses={{_target_: rank_losses.RankLosses, folder: '{folder}'}}"


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory):
    """The folder of the run, and how its program ended."""
    folder = tmp_path_factory.mktemp("two")
    program = started(folder, "trainer.max_epochs=2", "resume=auto", losses(folder))
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
    own = [np.loadtxt(folder / f"losses.{rank}.txt").reshape(2, 4) for rank in range(2)]
    assert not np.allclose(own[0], own[1])
    np.testing.assert_allclose(logged, np.mean(own, (0, 2)), rtol=1e-5)


def test_one_device_takes_the_same_step(two_devices, tmp_path):
    """The same images, norms of all of them, and the mean of both gradients.

    In a new network of fifty norms, what was rounded in the first layers grows; a step without the others' images is
    not even of the same direction.
    """
    folder, _ = two_devices
    write_noise(tmp_path / "faces")
    one = [*SETTINGS, "trainer=cpu", *ONE_EPOCH, "+trainer.limit_train_batches=1", "logger=none", losses(tmp_path)]
    assert train(tmp_path, *one) == 0
    own = np.mean([np.loadtxt(folder / f"losses.{rank}.txt")[0] for rank in range(2)])
    assert own == pytest.approx(float(np.loadtxt(tmp_path / "losses.0.txt")), rel=1e-4)
    together = [torch.load(folder / f"step.{step}.0.pt", weights_only=True) for step in (0, 1)]
    alone = [torch.load(tmp_path / f"step.{step}.0.pt", weights_only=True) for step in (0, 1)]
    for kind in ("weight", "bias", "running_mean", "running_var"):
        names = [name for name in alone[0] if name.endswith(kind)]
        moved, other = ([after[n] - before[n] for n in names] for before, after in (alone, together))
        difference = sum(float((a - b).double().square().sum()) for a, b in zip(moved, other, strict=True))
        assert difference**0.5 < 0.2 * sum(float(a.double().square().sum()) for a in moved) ** 0.5, kind


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


def test_torchrun_starts_one_run(tmp_path):
    program = started(
        tmp_path, *ONE_EPOCH, program=[sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    )
    printed, said = program.communicate(timeout=300)
    assert program.returncode == 0, said
    assert printed.count("accuracy in percent") == 1 and said.count("done: ") == 1
    assert (only_run(tmp_path) / "results.json").is_file()


SLURM = {"SLURM_JOB_ID": "77", "SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "faces", "SLURM_NODELIST": "127.0.0.1"}
SLURM |= {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1", "SLURM_NODEID": "0"}
ON_SLURM = ["trainer=slurm", "trainer.accelerator=cpu"]


def tasks(folder: Path, *settings: str, **more: str) -> list[subprocess.Popen[str]]:
    """The two tasks that srun would start, with a command ``scontrol`` that notes what it is told."""
    bin = folder / "bin"
    bin.mkdir(exist_ok=True)
    (bin / "scontrol").write_text(f"#!/bin/sh\necho $@ >> {folder}/scontrol.txt\n")
    (bin / "scontrol").chmod(0o755)
    path = f"{bin}{os.pathsep}{os.environ['PATH']}"
    with pytest.MonkeyPatch.context() as patch:
        found = []
        for rank in "01":
            for key, value in {**SLURM, **more, "SLURM_PROCID": rank, "SLURM_LOCALID": rank, "PATH": path}.items():
                patch.setenv(key, value)
            found.append(started(folder, "logger=none", *settings, devices=ON_SLURM))
        return found


def test_a_job_of_slurm_is_requeued_and_goes_on(tmp_path):
    first, second = tasks(tmp_path, "trainer.max_epochs=10000")
    try:
        while not list(tmp_path.glob("outputs/*/*/last.ckpt")):
            assert first.poll() is None and second.poll() is None, (first.communicate(), second.communicate())
            time.sleep(0.2)
        for task in (second, first):
            task.send_signal(signal.SIGUSR1)
        said = first.communicate(timeout=60)[1]
        second.communicate(timeout=60)
    finally:
        for task in (first, second):
            task.kill()
    assert (tmp_path / "scontrol.txt").read_text() == "requeue 77\n"
    assert first.returncode == 143 and says(said, "77", "requeued", "stopped", "resume=auto"), said
    run = tmp_path / "outputs" / "default" / "slurm_77_0"
    epochs = torch.load(run / "last.ckpt", weights_only=True)["epoch"] + 2
    again = tasks(tmp_path, f"trainer.max_epochs={epochs}", SLURM_RESTART_COUNT="1")
    ended = [task.communicate(timeout=300) for task in again]
    assert says(ended[0][1], f"resuming from {run}") and ended[1][0] == "", ended
    assert json.loads((only_run(tmp_path) / "results.json").read_text())["last"]["epoch"] == epochs - 1
