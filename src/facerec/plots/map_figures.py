"""Affinity maps by layer, over the epochs, and beside the data: figures 6, 11 and 12 of the TVConv paper."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch.nn.functional as F
from matplotlib.figure import Figure, SubFigure
from torch import Tensor

from facerec.operators.tvconv import TVConv
from facerec.plots.network import evenly_spaced

_CELL = 1.3  # inches
_MOST_EPOCHS = 6
_OF_DATA = ("data: mean", "data: std. deviation")
_CONTRAST = (1, 99)  # percentiles that the colours span: a few positions have far larger values than the others


def maps_figure(
    layers: Mapping[str, TVConv], epochs: Sequence[int], history: np.ndarray | None, layer: str, run: str
) -> Figure:
    """Draw the maps of each layer, one column per layer, and below them those of one ``layer`` over the epochs.

    ``history`` is ``(E, maps, H, W)`` for the ``epochs``, counted from 0; None leaves the lower part out. The colours
    span each map by itself above, and each row below, so that growth is seen. ``run`` says which network is drawn.
    """
    columns = [[*_maps(one), _weights(one)] for one in layers.values()]
    heights, shown = [max(map(len, columns))], []
    if history is not None:
        shown = evenly_spaced(len(history), _MOST_EPOCHS)
        heights.append(history.shape[1])
    most = max(len(columns), len(shown))
    width = _CELL * most + 1.0
    figure = Figure(figsize=(width, sum(_CELL * height + 0.9 for height in heights)), layout="constrained")
    parts = np.atleast_1d(np.array(figure.subfigures(len(heights), 1, height_ratios=[h + 0.7 for h in heights])))
    titles = [f"{one.channels} channels\n{_size(one)}, stride {one.stride}" for one in layers.values()]
    names = [*(f"map {number}" for number in range(1, heights[0])), "weights, RMS"]
    _grid(parts[0], list(map(list, zip(*columns, strict=True))), names, _filled(titles, most))
    parts[0].suptitle(f"{run}\nby layer", fontsize="medium")
    if history is not None:
        rows = [list(history[shown, number].astype(np.float32)) for number in range(history.shape[1])]
        _grid(parts[1], rows, names, _filled([f"epoch {epochs[index] + 1}" for index in shown], most), common=True)
        parts[1].suptitle(f"{layer} over the epochs", fontsize="medium")
    return figure


def _filled(titles: Sequence[str], number: int) -> list[str]:
    """Add titles of empty columns, so that the images of both grids are equally large."""
    return [*titles, *[""] * (number - len(titles))]


def statistics_figure(statistics: Tensor, layers: Mapping[str, TVConv], run: str) -> Figure:
    """Draw mean and standard deviation of the training images beside the maps that each layer has learned.

    ``statistics`` is ``(2, 3, H, W)``. Those of all channels together are resampled to the layer's size; below each map
    is its correlation with the mean and with the standard deviation. ``run`` says which network is drawn.
    """
    rows, captions = [], []
    for layer in layers.values():
        mean_std = _at_size_of(layer, statistics)
        maps = _maps(layer)
        rows.append([*mean_std, *maps])
        captions.append(["", "", *(_correlations(one, mean_std) for one in maps)])
    titles = [*_OF_DATA, *(f"map {number}" for number in range(1, len(rows[0]) - 1))]
    labels = [f"{layer.channels} channels\n{_size(layer)}" for layer in layers.values()]
    figure = Figure(figsize=(_CELL * len(rows[0]) + 0.9, (_CELL + 0.3) * len(rows) + 1.2), layout="constrained")
    _grid(figure, rows, labels, titles, captions=captions)
    figure.suptitle(run, fontsize="medium")
    figure.supxlabel("r: correlation of a map with the data's mean, and with its standard deviation", fontsize="small")
    return figure


def pixel_statistics_figure(statistics: Tensor, layer: TVConv, run: str) -> Figure:
    """Draw mean and standard deviation of the training images at full size, in colour, beside one layer's maps.

    ``run`` says which network is drawn.
    """
    colour = statistics.permute(0, 2, 3, 1).numpy()
    pixels = [np.clip((colour[0] + 1) / 2, 0, 1), np.clip(colour[1] / colour[1].max(), 0, 1)]
    maps = _maps(layer)
    figure = Figure(figsize=(2 * (2 + len(maps)) + 0.4, 3.2), layout="constrained")
    figure.suptitle(run, fontsize="medium")
    captions = [["", "", *(_correlations(one, _at_size_of(layer, statistics)) for one in maps)]]
    titles = [*_OF_DATA, *(f"map {n} of {len(maps)}" for n in range(1, len(maps) + 1))]
    label = f"{layer.channels} channels\n{_size(layer)}"
    _grid(figure, [[*pixels, *maps]], [label], titles, captions=captions)
    figure.supxlabel("r: correlation of a map with the data's mean, and with its standard deviation", fontsize="small")
    return figure


def _grid(
    figure: Figure | SubFigure,
    rows: Sequence[Sequence[np.ndarray]],
    labels: Sequence[str],
    titles: Sequence[str],
    common: bool = False,
    captions: Sequence[Sequence[str]] = (),
) -> None:
    """Draw images in a grid, with a label per row and a title per column; ``common``: one colour scale per row."""
    axes = np.array(figure.subplots(len(rows), len(titles), squeeze=False))
    for row, (cells, images) in enumerate(zip(axes, rows, strict=True)):
        cells[0].set_ylabel(labels[row], fontsize="x-small")
        for column, (cell, image) in enumerate(zip(cells, images, strict=False)):
            low, high = np.percentile(images if common else image, _CONTRAST)
            cell.imshow(image, cmap="magma", vmin=low, vmax=high)
            cell.set(xticks=[], yticks=[])
            if captions:
                cell.set_xlabel(captions[row][column], fontsize="x-small")
        for cell in cells[len(images) :]:
            cell.set_axis_off()
    for cell, title in zip(axes[0], titles, strict=True):
        cell.set_title(title, fontsize="x-small")


def _maps(layer: TVConv) -> list[np.ndarray]:
    return list(layer.affinity_maps.detach().float().cpu().numpy()[0])


def _weights(layer: TVConv) -> np.ndarray:
    """Return the root mean square of the generated weights at each position, ``(H, W)``."""
    return layer.weight().detach().float().cpu().square().mean(dim=(0, 3)).sqrt().numpy()


def _size(layer: TVConv) -> str:
    height, width = layer.affinity_maps.shape[2:]
    return f"{height}x{width}"


def _at_size_of(layer: TVConv, statistics: Tensor) -> list[np.ndarray]:
    """Return mean and standard deviation over the colours, resampled to the layer's map."""
    grey = statistics.mean(1, keepdim=True)  # (2, 1, H, W)
    size = [int(side) for side in layer.affinity_maps.shape[2:]]
    return list(F.interpolate(grey, size, mode="bilinear", antialias=True)[:, 0].numpy())


def _correlations(one: np.ndarray, mean_std: Sequence[np.ndarray]) -> str:
    values = [_correlation(one, other) for other in mean_std]
    return "r " + ", ".join("n/a" if value is None else f"{value:.2f}" for value in values)


def _correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Return the correlation over the positions; None if one of the two is constant."""
    a, b = one.ravel() - one.mean(), other.ravel() - other.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 1e-9 else None
