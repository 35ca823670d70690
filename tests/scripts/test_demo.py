"""The demo's three steps, each by the program that the demo would start; the training stands for itself elsewhere."""

import subprocess
from types import SimpleNamespace

import pytest

from facerec.commands.main import module_of
from facerec.config.compose import check_command_line, compose


@pytest.fixture
def steps(monkeypatch):
    """What is started, in order; each ends with the next of ``statuses``."""
    started: list[list[str]] = []
    statuses = [0, 0, 0]

    def run(command, check):
        assert command[1:3] == ["-m", "facerec.commands.main"] and not check
        started.append(command[3:])
        return SimpleNamespace(returncode=statuses[len(started) - 1])

    monkeypatch.setattr(subprocess, "run", run)
    return SimpleNamespace(started=started, statuses=statuses)


def test_it_trains_reports_and_draws_in_one_folder(steps, capsys):
    assert module_of("demo").main(["trainer.max_epochs=1"]) == 0
    train, report, plot = steps.started
    assert [step[0] for step in steps.started] == ["train", "report", "plot_runs"]
    check_command_line(train[1:])
    assert "operator=depthwise,tvconv" in train and train[-1] == "trainer.max_epochs=1"
    (name,) = (part.partition("=")[2] for part in train if part.startswith("name="))
    assert report[1] == plot[1] == f"outputs/{name}"
    said = capsys.readouterr().err
    assert f"figure: outputs/{name}/demo.png" in said and said.count("$ facerec ") == 3


def test_its_settings_are_small_and_need_no_data():
    cfg = compose(["experiment=demo"])
    assert cfg.data._target_.endswith("SyntheticData") and cfg.trainer.accelerator == "cpu"


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_the_first_step_that_fails_is_the_last(failing, steps):
    steps.statuses[failing] = 3
    assert module_of("demo").main([]) == 3
    assert len(steps.started) == failing + 1
