"""What choosing the epoch on the test images is worth, on curves that a person can see."""

from types import SimpleNamespace

import pytest
from says import says

from facerec.runs.chosen_epoch import Gain, gain_of, gain_sentence
from facerec.runs.differences import Run


def run(folder, dice: list[float | str], best: int) -> Run:
    lines = [f"{epoch},{value},0.9" for epoch, value in enumerate(dice)]
    (folder / "metrics.csv").write_text("\n".join(["epoch,c/dice,held_out/dice", *lines]) + "\n")
    return Run(folder, SimpleNamespace(best={"epoch": best}))


def test_the_highest_is_compared_with_the_reported_and_with_the_last(tmp_path):
    assert gain_of(run(tmp_path, [0.5, 0.8, 0.6, 0.7], best=2), "c") == pytest.approx(Gain(20, 10))


def test_nothing_is_gained_where_the_reported_epoch_is_the_best(tmp_path):
    assert gain_of(run(tmp_path, [0.5, 0.8], best=1), "c") == pytest.approx(Gain(0, 0))


@pytest.mark.parametrize(("dice", "best", "unseen"), [([0.5], 0, "d"), (["", 0.4], 0, "c"), ([0.5], 3, "c")])
def test_what_a_curve_does_not_have_is_not_guessed(dice, best, unseen, tmp_path):
    assert gain_of(run(tmp_path, dice, best), unseen) is None


def test_without_a_curve_there_is_none(tmp_path):
    assert gain_of(Run(tmp_path, SimpleNamespace(best={"epoch": 0})), "c") is None


def test_the_sentence_has_means_and_ranges():
    said = gain_sentence([Gain(2, 1), None, Gain(6, 2)])
    assert said is not None and says(said, "4.0 points", "2.0 to 6.0", "2 runs", "1.5 points", "1.0 to 2.0")
    assert gain_sentence([None]) is None
