"""The DET figure: its curves, its axes and its marks."""

import numpy as np
import pytest
from scipy.stats import norm

from facerec.plots.det import det_figure

FMR = np.geomspace(1e-7, 1, 30)


def normal(shift):
    """The curve of normally distributed scores."""
    return FMR, norm.cdf(-shift - norm.ppf(FMR))


def test_the_curves_are_drawn_where_both_rates_have_a_normal_deviate():
    figure = det_figure({"a": normal(3), "b": (np.array([0, 0.1, 0.2, 1]), np.array([1, 0.5, 0, 0]))})
    (axes,) = figure.axes
    one, other = axes.get_lines()
    np.testing.assert_allclose(one.get_xdata(), FMR[:-1])
    np.testing.assert_allclose(one.get_ydata(), normal(3)[1][:-1])
    assert (other.get_xdata().tolist(), other.get_ydata().tolist()) == ([0.1], [0.5])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert "FMR" in axes.get_xlabel() and "FNMR" in axes.get_ylabel()


def test_normal_scores_make_a_straight_line_from_the_least_fmr():
    (axes,) = det_figure({"a": normal(3)}).axes
    shown = axes.transData.transform(np.column_stack(normal(3))[:-1])
    slopes = np.diff(shown[:, 1]) / np.diff(shown[:, 0])
    assert slopes.max() - slopes.min() < 1e-3 * abs(slopes.mean()) and slopes.mean() < 0
    assert axes.get_xlim()[0] == pytest.approx(1e-7)
    left, right = (axes.transAxes.inverted().transform(axes.transData.transform((x, 0.1)))[0] for x in (1e-7, 0.6))
    assert (left, right) == pytest.approx((0, 1))


def test_the_marks_are_rates():
    (axes,) = det_figure({"a": normal(3)}).axes
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[:6] == ["1e-7", "1e-6", "1e-5", "1e-4", "1e-3", "1e-2"] and labels[-1] == "0.6"
    assert [float(label) for label in labels] == pytest.approx(list(axes.get_xticks()))


def test_the_axes_begin_at_one_error_of_the_benchmark_that_resolves_most():
    curves = {}
    for name, number in {"small": 100, "large": 10_000}.items():
        fmr = np.arange(1, number) / number
        curves[name] = fmr, np.maximum(0.1 - fmr, 1 / number)
    (axes,) = det_figure(curves).axes
    assert (axes.get_xlim()[0], axes.get_ylim()[0]) == pytest.approx((1e-4, 1e-4))
    assert axes.get_xticklabels()[0].get_text() == axes.get_yticklabels()[0].get_text() == "1e-4"


def test_scores_that_are_all_equal_make_an_empty_curve(tmp_path):
    figure = det_figure({"a": (np.array([0.0, 1.0]), np.array([1.0, 0.0]))})
    figure.savefig(tmp_path / "det.png")
    assert len(figure.axes[0].get_lines()[0].get_xdata()) == 0
