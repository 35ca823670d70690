"""Contours of masks over images."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from facerec.plots.network import save_figure
from facerec.plots.overlays import Overlay, comparison_figure, overlay_figure
from facerec.segmentation.mask_scoring import dice, labelled, structures

SIZE = (32, 48)


def circle(row, column, radius):
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.hypot(rows - row, columns - column) <= radius


def overlay(name="one", cup=(16, 20, 6), disc=(16, 26, 12)):
    image = np.full((*SIZE, 3), 120, np.uint8)
    truth = labelled(circle(16, 22, 6), circle(16, 24, 12))
    return Overlay(name, image, truth, np.stack([circle(*cup), circle(*disc)]))


def outlines(cell):
    """Each contour's colour and its box: left, top, right, bottom."""
    found = []
    for contour in cell.collections:
        points = np.concatenate([path.vertices for path in contour.get_paths()])
        found.append((to_hex(contour.get_edgecolor()[0]), (*points.min(0), *points.max(0))))
    return found


def test_each_structure_has_a_green_truth_and_a_blue_prediction_where_it_is():
    (cell,) = overlay_figure([overlay()]).axes
    colours, boxes = zip(*outlines(cell), strict=True)
    assert colours == ("#00ff00", "#00ff00", "#1f5bff", "#1f5bff")
    # A contour is half a pixel outside of the outermost pixels.
    expected = [(22, 6), (24, 12), (20, 6), (26, 12)]
    for box, (column, radius) in zip(boxes, expected, strict=True):
        assert box == (column - radius - 0.5, 16 - radius - 0.5, column + radius + 0.5, 16 + radius + 0.5)


def test_the_title_has_the_dice_of_both_structures():
    one = overlay()
    cup, disc = (100 * dice(*pair) for pair in zip(one.prediction, structures(one.truth), strict=True))
    (cell,) = overlay_figure([one]).axes
    assert cell.get_title() == f"one\ncup {cup:.1f}, disc {disc:.1f} % Dice"


def test_what_was_not_predicted_has_no_contour_and_a_contour_is_closed_at_the_border():
    cell, _ = overlay_figure([overlay(cup=(-90, 0, 1), disc=(16, 46, 12)), overlay()]).axes
    (*_, (colour, box)) = outlines(cell)
    assert len(cell.collections) == 3 and colour == "#1f5bff" and box[2] == SIZE[1] - 0.5
    assert "cup 0.0" in cell.get_title()


@pytest.mark.parametrize(("number", "cells", "empty"), [(1, 1, 0), (3, 3, 0), (6, 8, 2)])
def test_the_images_are_in_rows(tmp_path, number, cells, empty):
    figure = overlay_figure([overlay(f"image {index}") for index in range(number)], "a network, on images")
    assert len(figure.axes) == cells and sum(not cell.axison for cell in figure.axes) == empty
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["truth", "prediction"]
    assert legend.get_title().get_text() == "a network, on images"
    save_figure(figure, tmp_path / "overlays.png")
    assert (tmp_path / "overlays.png").stat().st_size > 5000


def test_networks_are_compared_in_columns(tmp_path):
    good, bad = {"cup": (16, 22, 6), "disc": (16, 24, 12)}, {"cup": (16, 2, 1)}
    by_network = {"none": [overlay("a", **bad), overlay("b", **good)], "tvconv": [overlay("a", **good)] * 2}
    figure = comparison_figure(by_network, "two images")
    cells = np.array(figure.axes).reshape(2, 2)
    titles = [[cell.get_title() for cell in row] for row in cells]
    assert [title.split("\n")[0] for title in titles[0]] == ["none", "tvconv"]
    assert ["cup 0.0" in title for title in titles[0]] == [True, False]
    assert titles[1] == ["cup 100.0, disc 100.0 % Dice"] * 2
    assert [cell.get_ylabel() for cell in cells.flat] == ["a", "", "b", ""]
    assert outlines(cells[1, 0]) == outlines(cells[1, 1]) != outlines(cells[0, 0])
    assert figure.legends[0].get_title().get_text() == "two images"
    save_figure(figure, tmp_path / "compared.png")
