"""The figure of a search."""

import math

import numpy as np
from says import every

from facerec.plots.search_figure import Scale, TrialPoint, search_figure

SCALES = {"optimizer.lr": Scale(0.01, 1.0, log=True), "data.global_batch_size": ("64", "128", "1024")}


def point(number: int, accuracy: float, finished: bool = True) -> TrialPoint:
    settings = {"optimizer.lr": 0.01 * 10 ** (number / 2), "data.global_batch_size": ("64", "128", "1024")[number % 3]}
    return TrialPoint(number, accuracy, finished, settings)


POINTS = [point(1, 80.0), point(2, 70.0, False), point(3, math.nan, False), point(4, 85.0)]


def drawn(axes) -> set[tuple[float, float]]:
    """The markers of an axis, but for the crosses on its edge."""
    lines = [line for line in axes.lines if line.get_linestyle() == "None" and line.get_marker() != "x"]
    return {(round(float(x), 6), float(y)) for line in lines for x, y in zip(*line.get_data(), strict=True)}


def legend_of(figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_every_trial_with_an_accuracy_is_in_every_panel():
    trial, rate, batch = search_figure({"search": POINTS}, SCALES).axes
    assert drawn(trial) == {(1, 80), (2, 70), (4, 85)}
    assert drawn(rate) == {(round(0.01 * 10**0.5, 6), 80), (0.1, 70), (1.0, 85)}
    assert drawn(batch) == {(1, 80), (2, 70), (1, 85)}
    assert [label.get_text() for label in batch.get_xticklabels()] == ["64", "128", "1024"]


def test_the_axis_of_a_range_shows_all_of_it():
    _, rate, _ = search_figure({"search": POINTS[:1]}, SCALES).axes
    low, high = rate.get_xlim()
    assert rate.get_xscale() == "log" and 0.005 < low < 0.01 and 1.0 < high < 2.0


def test_a_trial_without_an_accuracy_is_a_cross_on_the_edge():
    trial, *_ = search_figure({"search": POINTS}, SCALES).axes
    (cross,) = [line for line in trial.lines if line.get_marker() == "x"]
    assert list(cross.get_xdata()) == [3]


def test_the_best_so_far_rises_with_finished_trials_only():
    trial, *_ = search_figure({"search": POINTS}, SCALES).axes
    (best,) = [line for line in trial.lines if line.get_drawstyle() == "steps-post"]
    assert np.array_equal(best.get_data(), [[1, 4, 4], [80, 85, 85]])


def test_the_legend_names_what_there_is():
    assert legend_of(search_figure({"search": POINTS[:1]}, SCALES)) == []
    assert legend_of(search_figure({"search": POINTS}, SCALES)) == ["not finished", "without an accuracy"]
    names = ["operator=depthwise", "operator=tvconv"]
    assert legend_of(search_figure(dict.fromkeys(names, POINTS[:1]), SCALES)) == names


def test_compared_values_are_beside_each_other_at_a_choice():
    *_, batch = search_figure({"a": POINTS[:1], "b": POINTS[:1]}, SCALES).axes
    places = sorted(x for x, _ in drawn(batch))
    assert len(places) == 2 and every(0.5 < x < 1.5 for x in places)
