"""The table and the picture of the affine study, on results that a person can picture."""

import io

import numpy as np
import pytest
from rich.console import Console

from facerec.plots.sensitivity import Measurement, Shift, sensitivity_figure, sensitivity_table
from facerec.verification.verify import verify


def result(right: int):
    """Of 100 pairs, ``right`` decided well."""
    is_same = np.arange(100) % 2 == 0
    is_right = np.random.default_rng(0).permutation(100) < right
    angle = np.where(is_same == is_right, 0.0, np.pi)
    return verify(np.eye(2)[[0] * 100], np.stack((np.cos(angle), np.sin(angle)), axis=1), is_same)


def measurements():
    reaches = {None: 100, Shift("rotation", 1, "degrees", 15): 80, Shift("rotation", 2, "degrees", 30): 60}
    reaches |= {Shift("scale", 1, "spread", 0.2): 70}
    return [
        Measurement(network, shift, {"lfw": result(right), "cfp_ff": result(right - drop)})
        for shift, right in reaches.items()
        for network, drop in (("one", 0), ("other", 10))
    ]


def test_the_table_has_a_row_for_each_shift_and_a_column_for_each_benchmark_and_network():
    text = io.StringIO()
    Console(file=text, width=120).print(sensitivity_table(measurements()))
    lines = text.getvalue().splitlines()
    assert "accuracy in percent ± standard deviation over 10 folds, protocol tvconv" in " ".join(
        text.getvalue().split()
    )
    for row in ("as they are", "rotation ± 15 degrees", "rotation ± 30 degrees", "scale ± 0.2 of the size"):
        assert sum(row in line for line in lines) == 1
    (best,) = (line for line in lines if "as they are" in line)
    assert [float(cell.split()[0]) for cell in best.strip("│ ").split("│")[1:]] == [100, 100, 100, 90]


def test_the_picture_draws_each_network_over_the_range_from_the_unchanged_images_on():
    figure = sensitivity_figure(measurements())
    axes = figure.axes
    assert [a.get_title() for a in axes] == ["rotation", "scale", "", ""]
    assert [a.get_xlabel() for a in axes[2:]] == ["range (± degrees)", "range (± of the size)"]
    assert [a.get_ylabel() for a in axes] == ["lfw\naccuracy (%)", "", "cfp_ff\naccuracy (%)", ""]
    rotation = axes[0].containers
    assert [line.get_label() for line in rotation] == ["one", "other"]
    assert rotation[0].lines[0].get_xdata().tolist() == [0, 15, 30]
    assert rotation[0].lines[0].get_ydata().tolist() == pytest.approx([100, 80, 60])
    bars = rotation[0].lines[2][0].get_segments()  # a standard error of ten folds above and below
    deviation = np.std(result(80).fold_accuracies) / np.sqrt(10)
    assert bars[1][1][1] - bars[1][0][1] == pytest.approx(200 * deviation)
    assert figure.legends[0].get_title().get_text().startswith("protocol tvconv; ")
    assert axes[3].containers[1].lines[0].get_ydata().tolist() == pytest.approx([90, 60])


def test_a_summary_says_which_shift_and_holds_all_results():
    unchanged, changed = measurements()[0], measurements()[2]
    assert unchanged.summary()["shift"] is None
    assert changed.summary()["shift"] == {"transform": "rotation", "strength": 1, "unit": "degrees", "reach": 15}
    assert changed.summary()["benchmarks"]["lfw"]["accuracy"] == changed.results["lfw"].accuracy


def test_the_legend_has_room_for_long_names_beside_one_small_plot():
    names = [f"TVConv, MobileNetV2 x0.1, optimizer.lr={number} affine_strength=0.5" for number in range(4)]
    shift = Shift("rotation", 1, "degrees", 15)
    found = [Measurement(name, here, {"lfw": result(80)}) for name in names for here in (None, shift)]
    figure = sensitivity_figure(found)
    figure.draw_without_rendering()
    legend, whole = figure.legends[0].get_window_extent(), figure.bbox
    assert legend.x0 >= 0 and legend.x1 <= whole.width and legend.y1 <= whole.height
