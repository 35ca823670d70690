"""Contours of true and predicted masks over their images: figure 10 of the TVConv paper (arXiv 2203.10489)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from facerec.segmentation.mask_scoring import dice, structures

_NAME = 28  # letters of a name that a column has space for
_CELL = 2.6  # inches
_LINE, _LEGEND = 0.22, 0.75  # inches: a line of text above an image, the legend
# The truth is thicker, so that it is seen where the prediction covers it.
_LINES: dict[str, dict[str, Any]] = {
    "truth": {"color": "lime", "linewidth": 2.0},
    "prediction": {"color": "#1f5bff", "linewidth": 1.3},
}


@dataclass(frozen=True)
class Overlay:
    """One image with both masks.

    Attributes:
        name: printed above the image.
        image: uint8 RGB ``(H, W, 3)``.
        truth: the mask, uint8 ``(H, W)``.
        prediction: cup and disc, bool ``(2, H, W)``.
    """

    name: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray


def overlay_figure(overlays: Sequence[Overlay], title: str = "", columns: int = 4) -> Figure:
    """Draw the contours of cup and disc over each image, the truth in green and the prediction in blue.

    Above an image is the Dice of both structures. ``title`` says which network predicted, on which images.
    """
    columns = min(columns, len(overlays))
    figure, cells = _cells(overlays, -(-len(overlays) // columns), columns, lines=2)
    for cell, overlay in zip(cells.flat, overlays, strict=False):
        _draw(cell, overlay, f"{overlay.name}\n")
    for cell in cells.flat[len(overlays) :]:
        cell.set_axis_off()
    return _with_legend(figure, title)


def comparison_figure(by_network: Mapping[str, Sequence[Overlay]], title: str = "") -> Figure:
    """Draw a row per image and a column per network, as figure 10 of the paper does, each cell as in `overlay_figure`.

    Args:
        by_network: the overlays of the same images in the same order, by the network's name.
        title: says which images they are.
    """
    columns = [list(overlays) for overlays in by_network.values()]
    together = [overlay for column in columns for overlay in column]
    figure, cells = _cells(together, len(columns[0]), len(columns), lines=1)
    for column, overlays in enumerate(columns):
        for cell, overlay in zip(cells[:, column], overlays, strict=True):
            _draw(cell, overlay)
    for cell, overlay in zip(cells[:, 0], columns[0], strict=True):
        cell.set_ylabel(overlay.name, fontsize="small")
    for cell, name in zip(cells[0], by_network, strict=True):
        cell.set_title(f"{fill(name, _NAME)}\n{cell.get_title()}", fontsize="small")
    return _with_legend(figure, title)


def _cells(overlays: Sequence[Overlay], rows: int, columns: int, lines: int) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes, ``(rows, columns)``, as high as the highest image needs with so many ``lines``."""
    ratio = max(overlay.truth.shape[0] / overlay.truth.shape[1] for overlay in overlays)
    height = rows * (_CELL * ratio + lines * _LINE) + _LINE + _LEGEND
    figure = Figure(figsize=(_CELL * columns, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _with_legend(figure: Figure, title: str) -> Figure:
    lines = [Line2D([], [], label=label, **style) for label, style in _LINES.items()]
    place = "outside lower center"
    figure.legend(handles=lines, title=title, loc=place, ncols=2, fontsize="small", title_fontsize="small")
    return figure


def _draw(axes: Axes, overlay: Overlay, above: str = "") -> None:
    axes.imshow(overlay.image)
    truth = structures(overlay.truth)
    for label, masks in (("truth", truth), ("prediction", overlay.prediction)):
        for structure in masks:
            _outline(axes, structure, **_LINES[label])
    cup, disc = (100 * dice(*pair) for pair in zip(overlay.prediction, truth, strict=True))
    axes.set_title(f"{above}cup {cup:.1f}, disc {disc:.1f} % Dice", fontsize="small")
    axes.set(xticks=[], yticks=[])


def _outline(axes: Axes, structure: np.ndarray, color: str, linewidth: float) -> None:
    """Draw the contour, which is closed at the border of the image; an empty structure has none."""
    if structure.any():
        height, width = structure.shape
        padded = np.pad(structure.astype(np.float32), 1)
        axes.contour(range(-1, width + 1), range(-1, height + 1), padded, [0.5], colors=color, linewidths=linewidth)
