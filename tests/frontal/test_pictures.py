import numpy as np
import pytest
from matplotlib.axes import Axes

from facerec.frontal.calibration import reliability
from facerec.frontal.pictures import cross_validation_figure, scores_figure


def outlines(axes: Axes) -> list[np.ndarray]:
    return [np.asarray(patch.get_data().values) for patch in axes.patches]  # pyright: ignore[reportAttributeAccessIssue]


def test_the_histogram_of_a_set_has_two_outlines_from_the_ground_with_single_images_seen():
    probabilities = np.array([0.01, 0.01, 0.5, 0.5, 0.5, 0.97])
    (axes,) = scores_figure(probabilities, np.array([0, 0, 1, 1, 0, 1], bool), 0.4).axes
    kept, left_out = outlines(axes)
    assert {place: kept[place] for place in np.flatnonzero(kept >= 1)} == {25: 2, 48: 1}
    assert {place: left_out[place] for place in np.flatnonzero(left_out >= 1)} == {0: 2, 25: 1}
    assert axes.get_yscale() == "log" and axes.get_ylim()[0] < 1
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["threshold 0.400", "3 kept", "3 left out"]


IS_FRONTAL = np.arange(24) < 12


@pytest.mark.parametrize("probabilities", [np.zeros(24), np.ones(24), np.arange(24) % 2.0, np.linspace(1, 0, 24)])
def test_the_figure_of_any_training_can_be_drawn_and_read(probabilities):
    found = reliability(probabilities, IS_FRONTAL)
    figure = cross_validation_figure(probabilities, IS_FRONTAL, 0.5, found)
    figure.canvas.draw()
    histogram, roc, calibration = figure.axes
    assert [outline[outline >= 1].sum() for outline in outlines(histogram)] == [12, 12]
    most = max(outline.max() for outline in outlines(histogram))
    assert histogram.get_ylim()[1] > 5 * most  # above the bars there is room for the legend
    for axis in (histogram.yaxis, roc.xaxis):
        labels = [label.get_text() for label in axis.get_ticklabels(which="both")]
        assert not any("times" in label or "^" in label for label in labels) and any(labels)
    assert calibration.get_xlim() == calibration.get_ylim() == (-0.05, 1.05) and not calibration.texts
    (counts,) = calibration.child_axes
    assert [int(label.get_text()) for label in counts.get_xticklabels()] == found.images.tolist()


def test_a_classifier_that_guesses_has_the_diagonal_as_its_curve():
    figure = cross_validation_figure(np.ones(24), IS_FRONTAL, 0.5, reliability(np.ones(24), IS_FRONTAL))
    (curve,) = figure.axes[1].lines
    np.testing.assert_allclose(*np.asarray(curve.get_data()))
