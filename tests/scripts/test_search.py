"""The search as a person asks for it: real runs of a second, on synthetic faces."""

import json
import shlex
from pathlib import Path
from unittest import mock

import cv2
import pytest
from report_rows import table_rows
from running import as_program
from says import every, says

from facerec.commands import search, search_trials
from facerec.config.compose import check_command_line
from facerec.config.settings import quoted
from facerec.runs import run_lock
from facerec.runs.report import find_runs
from facerec.runs.run_results import RunResults
from facerec.runs.search_studies import Trial
from facerec.training.callbacks.not_a_number import Diverged

# 24 people, 20 of them held out, and 2 steps an epoch.
TINY = [
    *("data=synthetic", "data.num_identities=24", "data.images_per_identity=4", "data.global_batch_size=8"),
    *("data.num_workers=0", "data.held_out_identities=20", "trainer=cpu", "trainer.max_epochs=2", "logger=none"),
    *("image_size=32", "width=0.1", "embedding_dim=16", "lr_scheduler.milestones=[1]"),
]
LR = "optimizer.lr=0.01..0.3:log"
ONE = [*TINY, "operator=depthwise", LR]


def searched(folder: Path, *arguments: str) -> int:
    with as_program(folder):
        return search.main(list(arguments))


def found(folder: Path) -> dict:
    return json.loads((folder / "outputs/search/search.json").read_text())


def trials(folder: Path, label: str = "search") -> list[dict]:
    return found(folder)["searches"][label]["trials"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A search of three trials. Read it only."""
    folder = tmp_path_factory.mktemp("whole")
    assert searched(folder, *ONE, "trials=3") == 0
    return folder


def test_each_trial_is_a_run_judged_by_its_last_epoch_on_held_out_identities(whole):
    of_search = trials(whole)
    assert [trial["state"] for trial in of_search] == ["finished"] * 3
    for trial in of_search:
        folder = whole / "outputs/search" / trial["folder"]
        results = RunResults.read(folder)
        assert list(results.last["benchmarks"]) == ["held_out"] and results.last["epoch"] == 1
        assert trial["accuracy"] == results.last["benchmarks"]["held_out"]["accuracy"]
        assert results.config["optimizer"]["lr"] == trial["settings"]["optimizer.lr"]
        assert trial["epochs"].keys() == {"0", "1"}
        assert trial["epochs"]["1"] == pytest.approx(trial["accuracy"], abs=1e-6)
        assert json.loads((folder / "trial.json").read_text())["state"] == "finished"
    best = found(whole)["searches"]["search"]["best"]
    assert of_search[best - 1]["accuracy"] == max(trial["accuracy"] for trial in of_search)


def test_report_reads_the_trials(whole):
    runs = find_runs([whole / "outputs/search"])
    assert len(runs) == 3
    assert every("optimizer.lr=" in row["settings"] for row in table_rows(runs))


def test_the_figure_is_drawn(whole):
    assert cv2.imread(str(whole / "outputs/search/search.png")) is not None


def test_the_winner_is_trained_on_all_identities_with_other_seeds(whole):
    words = shlex.split(found(whole)["winner"])
    assert words[:3] == ["facerec", "train", "-m"] and {"seed=2,3,4", "name=search_best"} <= set(words)
    best = max(trials(whole), key=lambda trial: trial["accuracy"])["settings"]["optimizer.lr"]
    assert f"optimizer.lr={best}" in words and "data.held_out_identities=20" in words  # which was typed
    assert not every(word.startswith(("data.benchmarks", "trainer.devices")) for word in words)
    check_command_line(quoted(words[2:]))


def test_a_search_that_was_stopped_equals_one_that_was_not(whole, tmp_path, capsys):
    crash = [
        "+callbacks.crash._target_=interruption.Crash",
        "+callbacks.crash.step=3",
        "+callbacks.crash.interrupt=true",
    ]
    assert searched(tmp_path, *ONE, "trials=3", *crash) == 130
    said = capsys.readouterr().err.splitlines()[-1]
    assert says(said, "stopped", "same command", "outputs/search")
    assert searched(tmp_path, *ONE, "trials=2") == 0
    said = capsys.readouterr().err
    assert says(said, "resuming from", "trial_001/last.ckpt")
    assert trials(tmp_path) == trials(whole)[:2]
    assert searched(tmp_path, *ONE, "trials=3") == 0  # and extended
    assert trials(tmp_path) == trials(whole)
    assert says(capsys.readouterr().err, "search: 2 trials are done")
    with mock.patch.object(search_trials, "trained", side_effect=AssertionError("there is nothing left to train")):
        assert searched(tmp_path, *ONE, "trials=3", "data.cache=outputs/cache") == 0
    assert found(tmp_path)["winner"] in capsys.readouterr().out


def test_compared_values_have_equal_budgets_and_the_same_first_settings(tmp_path, capsys):
    status = searched(tmp_path, *TINY, LR, "operator=depthwise,partial_conv", "trials=2", "out=outputs/search")
    printed = capsys.readouterr()
    assert status == 0
    depthwise, partial = (trials(tmp_path, f"operator={name}") for name in ("depthwise", "partial_conv"))
    assert len(depthwise) == len(partial) == 2
    assert [one["settings"] for one in depthwise] == [one["settings"] for one in partial]
    assert every(
        (tmp_path / "outputs/search" / one["folder"] / "results.json").is_file() for one in depthwise + partial
    )
    budgets = [each["budget"] for each in found(tmp_path)["searches"].values()]
    assert every((one["trials"], one["epochs"], one["images"]) == (2, 2, 16) for one in budgets)
    for budget in budgets:
        assert budget["training_macs"] == 3 * 2 * 2 * 16 * budget["macs"][0] and budget["macs"][0] == budget["macs"][1]
    lines = printed.err.splitlines()
    first = next(index for index, line in enumerate(lines) if "trial 1 of 2" in line)
    assert says(" ".join(lines[:first]), "operator=depthwise: 2 trials x 2 epochs x 16 images", "operator=partial_conv")
    order = [line.partition(",")[0] for line in lines if ", trial" in line and "best" not in line]
    assert order == ["operator=depthwise", "operator=partial_conv"] * 2
    assert says(printed.out, "depthwise", "partial_conv", "facerec train -m")


def test_a_pruned_trial_says_so_and_is_not_finished(tmp_path):
    with mock.patch.object(Trial, "report", lambda trial, epoch, accuracy: trial.number == 2):
        assert searched(tmp_path, *[one for one in ONE if one != "logger=none"], "trials=2", "logger=csv") == 0
    first, second = trials(tmp_path)
    assert (first["state"], second["state"]) == ("finished", "pruned") and second["accuracy"] is None
    folder = tmp_path / "outputs/search" / second["folder"]
    assert json.loads((folder / "trial.json").read_text())["state"] == "pruned"
    assert (folder / "csv/version_0/metrics.csv").is_file()  # each logger writes to the folder of its own run
    assert not (folder / "results.json").exists() and (folder / "metrics.csv").is_file()
    assert find_runs([tmp_path / "outputs/search"]) == [tmp_path / "outputs/search" / first["folder"]]


def test_a_diverged_trial_fails_and_the_search_goes_on(tmp_path, capsys):
    train = search_trials.trained

    def diverges_once(cfg, folder, *others):
        if folder.name == "trial_001":
            raise Diverged("the loss is NaN from step 3 on")
        return train(cfg, folder, *others)

    with mock.patch.object(search_trials, "trained", diverges_once):
        assert searched(tmp_path, *ONE, "trials=2") == 0
    first, second = trials(tmp_path)
    assert (first["state"], second["state"]) == ("failed", "finished") and "step 3" in first["reason"]
    assert says(capsys.readouterr().err, "trial 1 of 2: failed, the loss is NaN")


def test_a_search_without_a_finished_trial_says_where_the_reasons_are(tmp_path, capsys):
    assert searched(tmp_path, *ONE[:-1], "optimizer.lr=1e30..1e35:log", "trials=1") == 1
    (trial,) = trials(tmp_path)
    assert trial["state"] == "failed" and "NaN" in trial["reason"] and found(tmp_path)["winner"] is None
    assert says(capsys.readouterr().err.splitlines()[-1], "no trial finished", "search.json", "out=")


def test_another_error_ends_the_search_with_the_trial(tmp_path, capsys):
    refusal = ["+callbacks.refusal._target_=interruption.Refusal"]
    assert searched(tmp_path, *ONE, "trials=2", *refusal) == 1
    assert says(capsys.readouterr().err.splitlines()[-1], "trial 1", "an image cannot be read: copy it again")
    assert searched(tmp_path, *ONE, "trials=1") == 0  # it is run again
    assert [trial["state"] for trial in trials(tmp_path)] == ["finished"]


def test_a_trial_that_cannot_begin_is_not_tried_again(tmp_path):
    fails = mock.patch.object(search_trials, "trained", side_effect=RuntimeError("no such device"))
    with fails, pytest.raises(RuntimeError, match="no such device"):
        searched(tmp_path, *ONE, "trials=2")
    assert searched(tmp_path, *ONE, "trials=2") == 0
    assert [trial["state"] for trial in trials(tmp_path)] == ["failed", "finished"]
    assert trials(tmp_path)[0]["reason"] == "RuntimeError: no such device"


def test_a_run_that_ended_just_before_the_search_did_is_not_trained_again(whole, tmp_path):
    expected = trials(whole)[0]
    with mock.patch.object(Trial, "finish", side_effect=KeyboardInterrupt):
        assert searched(tmp_path, *ONE, "trials=1") == 130
    with mock.patch.object(search_trials, "trained", side_effect=AssertionError("it is finished")):
        assert searched(tmp_path, *ONE, "trials=1") == 0
    assert trials(tmp_path) == [expected]


REFUSED = {
    "optimizer.lr=0.01..0.5:log": ("optimizer.lr=0.01..0.3:log", "0.01..0.5:log", "out="),
    f"{LR} width=0.2": ("width=0.1", "0.2", "out="),
    f"{LR} seed=2": ("seed=1", "2", "out="),
    f"{LR} pruning=false": ("pruning=true", "false"),
    f"{LR} data.held_out_seed=1": ("data.held_out_seed=0", "1"),
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_another_search_in_the_folder_is_refused_before_a_trial(arguments, whole, capsys):
    before = (whole / "outputs/search/search.json").read_bytes()
    others = [argument for argument in ONE[:-1] if argument != "width=0.1" or "width" not in arguments]
    assert searched(whole, *others, *arguments.split(), "trials=4") == 1
    assert says(capsys.readouterr().err.splitlines()[-1], *REFUSED[arguments])
    assert (whole / "outputs/search/search.json").read_bytes() == before


WRONG = {
    "operator.affinity_channels=2..8:log operator=tvconv": ("operator.affinity_channels=2..8:log", "integer", ":int"),
    "operator=depthwise,tvconv optimizer.lr=a..b": ("optimizer.lr",),
    "operator=depthwise head.margin=0.1,wide": ("head.margin=0.1,wide", "number", "'wide'"),
    "operator=depthwise optimizer.lr=-0.1..0.1": ("optimizer.lr=-0.1..0.1", "optimizer"),
}


@pytest.mark.parametrize("arguments", WRONG)
def test_a_value_that_no_run_takes_is_refused_before_the_first_trial(arguments, tmp_path, capsys):
    assert searched(tmp_path, *TINY, *arguments.split(), "trials=1") == 1
    assert says(capsys.readouterr().err.splitlines()[-1], *WRONG[arguments])
    assert not (tmp_path / "outputs/search").exists()


def test_trials_without_their_database_are_not_overwritten(tmp_path, capsys):
    trial = tmp_path / "outputs/search/trial_001/trial.json"
    trial.parent.mkdir(parents=True)
    trial.write_text("{}")
    assert searched(tmp_path, *ONE, "trials=1") == 1
    assert says(capsys.readouterr().err.splitlines()[-1], "outputs/search", "search.db", "out=")


def test_the_search_is_one_process(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert searched(tmp_path, *ONE) == 1
    assert says(capsys.readouterr().err, "one process", "torchrun")


def test_two_searches_in_one_folder_are_refused(tmp_path, capsys):
    (tmp_path / "outputs/search").mkdir(parents=True)
    with run_lock.alone_in(tmp_path / "outputs/search"):
        assert searched(tmp_path, *ONE, "trials=1") == 1
    assert says(capsys.readouterr().err.splitlines()[-1], "outputs/search", "another process", "out=")
