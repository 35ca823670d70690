"""The trials of a search in their file, without training."""

import sqlite3
from pathlib import Path

import pytest
from says import every, refuses

from facerec.errors import InputError
from facerec.runs.search_studies import Study, choice_of, opened, range_of

SEARCHED = {
    "lr": range_of(0.01, 1.0, log=True, integer=False),
    "layers": range_of(1, 4, log=False, integer=True),
    "head": choice_of(("arcface", "am_softmax")),
}
SETTINGS = {"search": {"width": "0.1", "lr": "0.01..1.0:log"}}


def study_in(folder: Path, seed: int = 1, pruning: bool = False, epochs: int = 3) -> Study:
    return Study(opened(folder / "search.db", SETTINGS)["search"], SEARCHED, seed, epochs, pruning)


def accuracy(tried: dict) -> float:
    return 0.9 - abs(tried["lr"] - 0.2) / 2 - 0.01 * tried["layers"] + 0.02 * (tried["head"] == "arcface")


def run(study: Study, trials: int) -> list[dict]:
    """The settings of all trials, after ``trials`` more."""
    for _ in range(trials):
        trial = study.next_trial()
        trial.finish(accuracy(trial.settings))
    return [record.settings for record in study.records()]


def test_a_seed_makes_a_search_repeatable(tmp_path):
    first, again, other = (tmp_path / name for name in ("first", "again", "other"))
    for folder in (first, again, other):
        folder.mkdir()
    tried = run(study_in(first), 14)
    assert tried == run(study_in(again), 14) != run(study_in(other, seed=2), 14)
    assert len({str(one) for one in tried}) == 14


def test_wherever_it_stopped_it_goes_on_with_the_settings_of_one_that_did_not(tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir(), stopped.mkdir()
    expected = run(study_in(whole), 13)
    study = study_in(stopped)
    for number in range(13):  # ten are random, the others follow the model
        if number in (0, 5, 11):
            study = study_in(stopped)  # a new process
        if number in (3, 11, 12):
            study.next_trial()  # and killed in it
            study = study_in(stopped)
        trial = study.next_trial()
        assert trial.number == number + 1
        trial.finish(accuracy(trial.settings))
    assert [record.settings for record in study_in(stopped).records()] == expected


def test_the_first_trials_of_all_compared_values_have_the_same_settings(tmp_path):
    both = opened(tmp_path / "search.db", {"operator=a": {}, "operator=b": {}})
    a, b = (Study(study, SEARCHED, seed=1, epochs=3, pruning=False) for study in both.values())
    assert run(a, 5) == run(b, 5)
    assert a.ended() == b.ended() == 5


def test_settings_are_in_their_ranges_and_known_choices(tmp_path):
    tried = run(study_in(tmp_path), 14)
    assert every(0.01 <= one["lr"] <= 1 and one["layers"] in range(1, 5) for one in tried)
    assert {one["head"] for one in tried} == {"arcface", "am_softmax"}


def test_an_interrupted_trial_keeps_the_accuracies_of_its_epochs(tmp_path):
    first = study_in(tmp_path).next_trial()
    first.report(0, 0.5)
    again = study_in(tmp_path).next_trial()
    assert again.settings == first.settings and again.record().epochs == {0: 0.5}
    again.report(0, 0.7)  # trained again, from the checkpoint before
    again.report(1, 0.6)
    again.finish(0.6)
    (record,) = study_in(tmp_path).records()
    assert record.epochs == {0: 0.5, 1: 0.6} and record.accuracy == 0.6 and record.state == "finished"


def test_a_trial_below_the_median_is_pruned_after_a_third_of_the_epochs(tmp_path):
    study = study_in(tmp_path, pruning=True)
    for number in range(5):
        trial = study.next_trial()
        assert not any(trial.report(epoch, 0.5 + number / 100) for epoch in range(3))
        trial.finish(0.5 + number / 100)
    worse = study.next_trial()
    assert not worse.report(0, 0.4)
    assert worse.report(1, 0.51)
    worse.prune()
    better = study.next_trial()
    assert not any(better.report(epoch, 0.53) for epoch in range(3))
    assert [record.state for record in study.records()] == ["finished"] * 5 + ["pruned", "unfinished"]
    best = study.best()
    assert best is not None and best.number == 5


def test_nothing_is_pruned_where_that_is_not_wanted(tmp_path):
    study = study_in(tmp_path, pruning=False)
    run(study, 6)
    trial = study.next_trial()
    assert not any(trial.report(epoch, 0.0) for epoch in range(3))


def test_a_failed_trial_has_its_reason_and_is_not_the_best(tmp_path):
    study = study_in(tmp_path)
    study.next_trial().fail("the loss is NaN")
    assert study.best() is None and study.ended() == 1
    (record,) = study.records()
    assert (record.state, record.reason, record.accuracy) == ("failed", "the loss is NaN", None)


def test_another_search_in_the_file_is_refused(tmp_path):
    study_in(tmp_path)
    other = {"search": {"width": "0.1", "lr": "0.01..2.0:log"}}
    with refuses("search.db", "lr=0.01..1.0:log", "0.01..2.0:log", "out=", error=InputError):
        opened(tmp_path / "search.db", other)
    with refuses("search.db", "seed=nothing", "2", "out=", error=InputError):
        opened(tmp_path / "search.db", {"search": SETTINGS["search"] | {"seed": "2"}})
    assert opened(tmp_path / "search.db", SETTINGS | {"operator=new": {}}).keys() == {"search", "operator=new"}


@pytest.mark.parametrize("content", [b"mine", b"SQLite format 3\0" + b"x" * 200])
def test_a_file_that_is_no_search_is_refused_and_stays(content, tmp_path):
    (tmp_path / "search.db").write_bytes(content)
    with refuses("search.db", "out=", error=InputError):
        study_in(tmp_path)
    assert (tmp_path / "search.db").read_bytes() == content


def test_another_database_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "search.db") as database:
        database.execute("create table version_info (mine text)")
    database.close()
    with refuses("search.db", "out=", error=InputError):
        study_in(tmp_path)


def test_a_path_with_marks_of_an_address_is_a_path(tmp_path):
    folder = tmp_path / "a?b=%20#c"
    folder.mkdir()
    run(study_in(folder), 1)
    assert [path.name for path in folder.iterdir()] == ["search.db"]
