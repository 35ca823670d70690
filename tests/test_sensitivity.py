"""The table and the picture of the affine study, on results that a person can picture."""

import io
from typing import NamedTuple

import numpy as np
import pytest
from rich.console import Console

from facerec.plots.sensitivity import Measurement, Shift, sensitivity_figure, sensitivity_table
from facerec.segmentation.image_means import headline
from facerec.segmentation.mask_protocols import ImageScore
from facerec.verification.headline import Headline
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
    assert changed.summary()["benchmarks"]["lfw"]["accuracy"] == changed.results["lfw"].headline.value


def test_the_legend_has_room_for_long_names_beside_one_small_plot():
    names = [f"TVConv, MobileNetV2 x0.1, optimizer.lr={number} affine_strength=0.5" for number in range(4)]
    shift = Shift("rotation", 1, "degrees", 15)
    found = [Measurement(name, here, {"lfw": result(80)}) for name in names for here in (None, shift)]
    figure = sensitivity_figure(found)
    figure.draw_without_rendering()
    legend, whole = figure.legends[0].get_window_extent(), figure.bbox
    assert legend.x0 >= 0 and legend.x1 <= whole.width and legend.y1 <= whole.height


class Masks(NamedTuple):
    """Of images whose Dice of cup and disc is known."""

    dices: tuple[float, ...]

    @property
    def headline(self) -> Headline:
        return headline([score(dice) for dice in self.dices], "tvconv_reference")

    def summary(self) -> dict[str, float]:
        return {"mean_dice": self.headline.value}


def score(dice: float) -> ImageScore:
    names = dict.fromkeys(ImageScore._fields, 0.0)
    return ImageScore(**(names | {"cup_dice": dice - 0.1, "disc_dice": dice + 0.1}))


def test_the_headline_of_masks_is_the_mean_dice_of_both_structures_over_the_images():
    found = Masks((0.5, 0.7, 0.9)).headline
    assert (found.name, found.number, found.parts, found.protocol) == ("mean Dice", 3, "images", "tvconv_reference")
    assert found.value == pytest.approx(0.7) and found.deviation == pytest.approx(np.std([0.5, 0.7, 0.9]))
    assert found.error == pytest.approx(found.deviation / 3**0.5)


def test_masks_are_tabulated_and_plotted_as_faces_are():
    by_shift = {None: (0.9, 0.8), Shift("translation", 1, "share", 0.1): (0.5, 0.6)}
    domains = [
        Measurement("one", shift, {"west": Masks(dices), "east": Masks((*dices, 0.7))})
        for shift, dices in by_shift.items()
    ]
    text = io.StringIO()
    Console(file=text, width=120).print(sensitivity_table(domains))
    said = " ".join(text.getvalue().split())
    assert "mean Dice in percent ± standard deviation over images, protocol tvconv_reference" in said
    assert "85.00 ± 5.00" in said and "55.00 ± 5.00" in said and "translation ± 0.1 of the sides" in said
    figure = sensitivity_figure(domains)
    assert [axes.get_ylabel() for axes in figure.axes] == ["west\nmean Dice (%)", "east\nmean Dice (%)"]
    line = figure.axes[0].containers[0].lines[0]
    assert line.get_ydata().tolist() == pytest.approx([85, 55])
    assert figure.legends[0].get_title().get_text() == "protocol tvconv_reference; bars: standard error over the images"
    assert domains[0].summary()["benchmarks"]["west"] == {"mean_dice": pytest.approx(0.85)}
