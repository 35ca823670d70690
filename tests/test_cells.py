"""The cells of a sweep, printed as commands and shared by processes."""

import json
import os
import shlex
import subprocess
import sys

import pytest
import yaml
from image_files import write_noise
from running import DATA, DEPTHWISE, ONE_EPOCH, ROOT, train
from says import says

FOLDER = ["data=folder", "data.root=faces", "data.benchmarks=[odd]", "data.global_batch_size=8", "data.num_workers=0"]
SETTINGS = [*(part for part in DEPTHWISE if part not in DATA), *FOLDER, *ONE_EPOCH, "logger=none"]
SWEEP = [*SETTINGS, "seed=1,2", "optimizer.lr=0.01,0.02", "name=sweep"]


def program(folder, *settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, ROOT / "train.py", "-m", *settings],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def printed(folder, capsys, *settings: str) -> list[list[str]]:
    """The arguments of each command that ``cells=print`` prints."""
    assert train(folder, "-m", *settings, "cells=print") == 0
    commands = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    assert all(command[:2] == ["python", "train.py"] for command in commands)
    return [command[2:] for command in commands]


class TestPrint:
    def test_a_cell_is_a_command_and_nothing_is_written(self, tmp_path, capsys):
        commands = printed(tmp_path, capsys, *SWEEP)
        assert len({tuple(command) for command in commands}) == 4 and not list(tmp_path.iterdir())
        assert {"seed=2", "optimizer.lr=0.02", "skip_finished=true", "resume=auto", "name=sweep"} <= set(commands[-1])

    def test_the_command_does_what_the_sweep_does(self, tmp_path, capsys):
        write_noise(tmp_path / "faces")
        sweep = [*SETTINGS, "seed=7", "+optimizer.nesterov=true", "hydra.sweeper.max_batch_size=2", "name=sweep"]
        (command,) = printed(tmp_path, capsys, *sweep)
        assert train(tmp_path, "-m", *sweep) == 0
        (before,) = (tmp_path / "outputs" / "sweep").glob("*/results.json")
        results = json.loads(before.read_text())
        before.unlink()
        before.with_name("last.ckpt").unlink()
        assert train(tmp_path, *command) == 0
        after = json.loads(before.read_text())
        assert {after[key] == results[key] for key in ("config_fingerprint", "last", "best")} == {True}

    def test_what_a_file_of_the_users_own_sweeps_over_is_printed(self, tmp_path, capsys):
        (tmp_path / "own" / "sweep").mkdir(parents=True)
        text = "# @package _global_\nname: mine\nhydra: {sweeper: {params: {seed: '3,4'}}}\n"
        (tmp_path / "own" / "sweep" / "mine.yaml").write_text(text)
        commands = printed(tmp_path, capsys, "-cd", "own", *SETTINGS, "sweep=mine")
        assert [command[:2] for command in commands] == [["-cd", "own"]] * 2
        assert [
            f"hydra.run.dir=outputs/mine/seed={seed}" in command[-1]
            for command, seed in zip(commands, "34", strict=True)
        ]
        assert ["seed=3" in commands[0], "seed=4" in commands[1]] == [True, True]


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["seed=1", "cells=print"], ("cells=print", "-m")),
        (["-m", "seed=1,2", "cells=all"], ("cells=all", "print", "claim")),
        (["-m", "seed=1,2", "cells=claim", "claim_stale=10"], ("claim_stale=10", "10min")),
        (["-m", "seed=1,2", "cells=claim", "claim_stale=0s"], ("claim_stale=0s", "above 0")),
        (["-m", "seed=1,2", "claim_stale=1h"], ("claim_stale=1h", "cells=claim")),
        (["-m", "seed=1,2", "cells=claim", "data.root=gone"], ("gone", "data.root")),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, facts, tmp_path, capsys):
    given = [part for part in SETTINGS if not any(part.partition("=")[0] == a.partition("=")[0] for a in arguments)]
    assert train(tmp_path, *arguments[:1], *given, *arguments[1:]) == 1
    said = capsys.readouterr().err
    assert says(said, *facts) and said.strip().count("\n") == 0, said
    assert not list(tmp_path.iterdir())


def test_two_processes_train_each_cell_once(tmp_path, capsys):
    write_noise(tmp_path / "faces")
    sweep = [*SWEEP, f"+callbacks.losses={{_target_: rank_losses.RankLosses, folder: '{tmp_path}'}}"]
    both = [program(tmp_path, *sweep, "cells=claim") for _ in range(2)]
    said = [each.communicate(timeout=500)[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert len((tmp_path / "losses.0.txt").read_text().splitlines()) == 4 * 4
    assert sum(text.count("done: ") for text in said) == 4 and all(
        says(text, "of 4 cells are finished") for text in said
    )
    folders = sorted((tmp_path / "outputs" / "sweep").glob("*/results.json"))
    ran = [yaml.safe_load((file.parent / ".hydra" / "overrides.yaml").read_text()) for file in folders]
    told = [
        [part for part in command if not part.startswith("hydra.")] for command in printed(tmp_path, capsys, *sweep)
    ]
    assert sorted(ran) == sorted(told) and len(ran) == 4


def test_the_cell_of_a_killed_process_is_taken_over_and_goes_on(tmp_path, capsys):
    write_noise(tmp_path / "faces")
    kill = f"+callbacks.kill={{_target_: interruption.KillOnce, step: 6, marker: '{tmp_path / 'killed'}'}}"
    sweep = [*(s for s in SETTINGS if s not in ONE_EPOCH), "trainer.max_epochs=2", "seed=1,2", "name=sweep", kill]
    first = program(tmp_path, *sweep, "cells=claim", "claim_stale=4s")
    first.communicate(timeout=300)
    assert first.returncode == -9 and len(list(tmp_path.glob("outputs/sweep/.claims/*.1"))) == 1
    assert train(tmp_path, "-m", *sweep, "cells=claim", "claim_stale=4s") == 0
    said = capsys.readouterr().err
    assert said.count("resuming from") == 1 and said.count("done: ") == 2, said
    assert len(list(tmp_path.glob("outputs/sweep/*/results.json"))) == 2


def test_a_cell_that_fails_is_said_and_the_others_are_trained(tmp_path, capsys):
    write_noise(tmp_path / "faces")
    sweep = [*SETTINGS, "operator.kernel_size=4,3", "name=sweep"]
    for _ in range(2):  # whoever starts later tries again, and finished cells are skipped
        assert train(tmp_path, "-m", *sweep, "cells=claim") == 1
        said = capsys.readouterr().err
        assert says(said, "failed", "kernel_size", "odd", "1 of 2 cells") and said.count("failed: ") == 1, said
    assert len(list(tmp_path.glob("outputs/sweep/*/results.json"))) == 1
