"""Sweeps: every cell has a folder of its own, and one that fails keeps no other from its results."""

import json
import re
import shutil
from unittest import mock

import pytest
from interruption import full_disk
from running import DEPTHWISE, ONE_EPOCH, train
from says import refuses, says

from facerec.commands.train_run import Cell, one_device
from facerec.config import build
from facerec.config.compose import compose
from facerec.config.options import CONFIG_FOLDER
from facerec.errors import InputError

# Few enough for the name of a folder.
SETTINGS = [*DEPTHWISE[:-1], *ONE_EPOCH]
CELLS = ["operator=depthwise,tvconv", "operator.kernel_size=3,4", "name=sweep"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """The folder of a sweep of which the two cells with an even kernel fail, and its exit status and sentences."""
    folder = tmp_path_factory.mktemp("sweep")
    with mock.patch("facerec.config.build.build_backbone", slim), pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("facerec.commands.train_run.log", said.append)
        status = train(folder, "-m", *SETTINGS, *CELLS)
    return folder / "outputs" / "sweep", status, said


_build_backbone = build.build_backbone


def slim(cfg):
    """TVConv with a small generator, which depthwise has no settings for."""
    if "generator_layers" in cfg.operator:
        cfg.operator.update(generator_layers=0, generator_channels=4)
    return _build_backbone(cfg)


def test_the_other_cells_are_done(sweep):
    folder, _, _ = sweep
    found = [json.loads(file.read_text()) for file in folder.glob("*/results.json")]
    assert len(found) == 2
    assert {result["config"]["operator"]["kernel_size"] for result in found} == {3}
    assert len({result["config"]["operator"]["_target_"] for result in found}) == 2


def test_each_cell_that_was_not_refused_has_a_folder_of_its_own(sweep):
    folder, _, _ = sweep
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 2


def test_what_failed_is_said_at_the_end_and_in_the_status(sweep):
    folder, status, said = sweep
    said = [line for line in said if not line.startswith("done: ")]
    assert status == 1 and len(said) == 2
    for sentence in said:
        assert sentence.startswith(f"failed: {folder}")
        assert sentence.endswith("kernel_size must be odd, got 4 (config node: operator)")


@pytest.mark.parametrize("text", ["", '{"schema": 99}', '{"last": {"benchmarks": {"lfw": {"accuracy": NaN}}}}'])
def test_a_cell_with_damaged_results_fails_alone_and_is_not_called_skipped(text, sweep, tmp_path, capsys):
    shutil.copytree(sweep[0].parents[1] / "outputs", tmp_path / "outputs")
    first, second = sorted((tmp_path / "outputs" / "sweep").glob("*/results.json"))
    first.write_text(text)
    assert train(tmp_path, "-m", *SETTINGS, *CELLS, "skip_finished=true") == 1
    lines = capsys.readouterr().err.splitlines()
    assert [says(line, "skipped", str(second.parent)) for line in lines].count(True) == 1
    assert not any(says(line, "skipped", str(first.parent)) for line in lines)
    assert [says(line, "failed", str(first), "remove this file", "resume=auto") for line in lines].count(True) == 1


def test_the_remedy_for_damaged_results_brings_them_back(sweep, tmp_path):
    shutil.copytree(sweep[0].parents[1] / "outputs", tmp_path / "outputs")
    first, _ = sorted((tmp_path / "outputs" / "sweep").glob("*/results.json"))
    before = {"last": json.loads(first.read_text())["last"], "weights": first.with_name("last.ckpt").read_bytes()}
    first.unlink()
    train(tmp_path, "-m", *SETTINGS, *CELLS, "skip_finished=true", "resume=auto")
    after = {"last": json.loads(first.read_text())["last"], "weights": first.with_name("last.ckpt").read_bytes()}
    assert after == before


class TestTheSecondTime:
    def test_finished_cells_are_skipped_and_the_others_tried_again(self, sweep, capsys):
        folder, _, _ = sweep
        before = {file: file.stat().st_mtime_ns for file in folder.glob("*/results.json")}
        assert train(folder.parents[1], "-m", *SETTINGS, *CELLS, "skip_finished=true") == 1
        assert {file: file.stat().st_mtime_ns for file in folder.glob("*/results.json")} == before
        lines = [line for line in capsys.readouterr().err.splitlines() if "checking" not in line and line.strip()]
        assert [says(line, "skipped", str(folder)) for line in lines].count(True) == 2
        assert [says(line, "failed", "kernel_size", "odd", "4") for line in lines].count(True) == 2
        assert len(lines) == 4  # and nothing by Hydra

    def test_without_a_word_nothing_is_written_over(self, sweep, capsys):
        folder, _, _ = sweep
        before = {file: file.stat().st_mtime_ns for file in folder.glob("*/results.json")}
        assert train(folder.parents[1], "-m", *SETTINGS, *CELLS) == 1
        assert {file: file.stat().st_mtime_ns for file in folder.glob("*/results.json")} == before
        said = capsys.readouterr().err.splitlines()
        assert [says(line, "failed", str(folder), "skip_finished=true") for line in said].count(True) == 2


def test_a_sweep_that_broke_off_is_finished_the_second_time(tmp_path, capsys):
    """The disk is full in the second epoch of the second cell."""
    cells = [*SETTINGS, "operator=depthwise", "trainer.max_epochs=2", "seed=1,2", "name=sweep"]
    with full_disk(after=4 + 2):
        assert train(tmp_path, "-m", *cells) == 1
    first, second = sorted((tmp_path / "outputs" / "sweep").glob("*/last.ckpt"), key=lambda path: path.stat().st_mtime)
    assert train(tmp_path, "-m", *cells, "skip_finished=true", "resume=auto") == 0
    said = capsys.readouterr().err.splitlines()
    assert any(says(line, "skipped", str(first.parent)) for line in said)
    assert any(says(line, "resuming", str(second)) for line in said)
    for cell in (first.parent, second.parent):
        assert json.loads((cell / "results.json").read_text())["last"]["epoch"] == 1
        assert len((cell / "metrics.csv").read_text().splitlines()) == 1 + 2


def test_a_defect_of_the_program_in_one_cell_is_named_with_its_kind(tmp_path, capsys):
    with mock.patch("facerec.config.build.build_backbone", side_effect=ZeroDivisionError("by zero")):
        assert train(tmp_path, "-m", *SETTINGS, "seed=1,2") == 1
    said = capsys.readouterr().err
    assert len(re.findall("^failed: .*: ZeroDivisionError: by zero$", said, re.MULTILINE)) == 2
    assert said.count("Traceback (most recent call last)") == 2


def test_a_value_that_does_not_exist_is_refused_before_the_first_cell(tmp_path, capsys):
    assert train(tmp_path, "-m", *SETTINGS, "operator=depthwise,tvcov") == 1
    said = capsys.readouterr().err
    assert says(said, "failed: train.py: ", "operator=tvcov", "'tvconv'") and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_wrong_value_is_refused_before_the_first_cell_and_leaves_nothing(tmp_path, capsys):
    assert train(tmp_path, "-m", *SETTINGS, "operator=depthwise", "seed=1,x") == 1
    said = capsys.readouterr().err
    assert says(said, "failed: train.py: ", "'x'", "seed") and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_operator_of_the_users_own_is_swept_over(tmp_path):
    (tmp_path / "own" / "operator").mkdir(parents=True)
    depthwise = (CONFIG_FOLDER / "operator" / "depthwise.yaml").read_text()
    (tmp_path / "own" / "operator" / "mine.yaml").write_text(depthwise.replace("3", "5"))
    assert train(tmp_path, "-m", "-cd", "own", *SETTINGS, "operator=mine,depthwise", "name=sweep") == 0
    found = [json.loads(file.read_text()) for file in (tmp_path / "outputs" / "sweep").glob("*/results.json")]
    assert sorted(result["config"]["operator"]["kernel_size"] for result in found) == [3, 5]


@pytest.mark.parametrize("own", [[], ["-cd", "."]], ids=["", "with a folder of the user's own"])
def test_a_setting_that_nobody_reads_is_refused_in_every_cell(own, tmp_path, capsys):
    """Before the first cell where that can be seen, and else in each of them."""
    assert train(tmp_path, *own, "-m", *SETTINGS, "operator=depthwise", "affine_strength=0.5,1") == 1
    said = re.findall("^failed: (.*?): .*affine_strength.*no effect", capsys.readouterr().err, re.MULTILINE)
    assert said == ["train.py"] if not own else len(said) == 2
    assert not list(tmp_path.rglob(".hydra"))


LAUNCHERS = {"joblib": ["hydra.launcher.n_jobs=2"], "submitit_local": ["hydra.launcher.timeout_min=10"]}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_in_other_processes_a_failed_cell_makes_the_status_1_as_well(launcher, tmp_path, capfd):
    package = f"hydra-{launcher.partition('_')[0]}-launcher"
    pytest.importorskip(f"hydra_plugins.{package.replace('-', '_')}", reason=f"needs {package}")
    settings = [part for part in SETTINGS if part != "trainer=cpu"]
    cells = [*settings, "trainer.accelerator=cpu", "operator=depthwise", "operator.kernel_size=3,4", "name=sweep"]
    assert train(tmp_path, "-m", f"hydra/launcher={launcher}", *LAUNCHERS[launcher], *cells) == 1
    (results,) = (tmp_path / "outputs" / "sweep").glob("*/results.json")
    config = json.loads(results.read_text())["config"]
    assert config["operator"]["kernel_size"] == 3 and config["trainer"]["devices"] == 1
    files = [file.read_text() for file in tmp_path.rglob("*.err")]  # of submitit's jobs
    said = "".join([capfd.readouterr().err, *files]).splitlines()
    assert [says(line, "failed", "kernel_size", "odd", "4") for line in said].count(True) == 1


@pytest.mark.parametrize("setting", ["trainer.devices=2", "trainer.devices=[0,1]", "+trainer.num_nodes=2"])
def test_a_job_of_a_launcher_trains_on_one_device(setting):
    with refuses(setting.lstrip("+").replace(",", ", "), "one device", "cells=claim", error=InputError):
        one_device(compose([*SETTINGS, setting]))


def test_a_run_returns_the_mean_accuracy_to_hydras_sweepers(tmp_path, monkeypatch):
    found = []
    call = Cell.__call__
    monkeypatch.setattr(Cell, "__call__", lambda self, cfg: found.append(call(self, cfg)))
    assert train(tmp_path, *SETTINGS, "operator=depthwise", "data.benchmarks=[synthetic,synthetic_pose]") == 0
    (file,) = tmp_path.rglob("results.json")
    accuracies = [summary["accuracy"] for summary in json.loads(file.read_text())["last"]["benchmarks"].values()]
    assert len(accuracies) == 2 and found == [pytest.approx(sum(accuracies) / 2)]
