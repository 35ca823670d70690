"""The demo's three steps, each by the program that the demo would start; the training stands for itself elsewhere."""

import subprocess
from types import SimpleNamespace

import pytest
from running import ROOT, program

from facerec.config.compose import check_command_line, compose


@pytest.fixture
def steps(monkeypatch):
    """What is started, in order; each ends with the next of ``statuses``."""
    started: list[list[str]] = []
    statuses = [0, 0, 0]

    def run(command, cwd, check):
        assert (cwd, check) == (ROOT, False)
        started.append(command[1:])
        return SimpleNamespace(returncode=statuses[len(started) - 1])

    monkeypatch.setattr(subprocess, "run", run)
    return SimpleNamespace(started=started, statuses=statuses)


def test_it_trains_reports_and_draws_in_one_folder(steps, capsys):
    assert program("scripts/demo.py").main(["trainer.max_epochs=1"]) == 0
    train, report, plot = steps.started
    assert [step[0] for step in steps.started] == ["train.py", "scripts/report.py", "scripts/plot_runs.py"]
    check_command_line(train[1:])
    assert "operator=depthwise,tvconv" in train and train[-1] == "trainer.max_epochs=1"
    (name,) = (part.partition("=")[2] for part in train if part.startswith("name="))
    assert report[1] == plot[1] == f"outputs/{name}"
    said = capsys.readouterr().err
    assert f"picture: outputs/{name}/demo.png" in said and said.count("$ python ") == 3


def test_its_settings_are_small_and_need_no_data():
    cfg = compose(["experiment=demo"])
    assert cfg.data._target_.endswith("SyntheticData") and cfg.trainer.accelerator == "cpu"


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_the_first_step_that_fails_is_the_last(failing, steps):
    steps.statuses[failing] = 3
    assert program("scripts/demo.py").main([]) == 3
    assert len(steps.started) == failing + 1
