"""The figures of a run: ROC curves, affinity maps, generated weights, training images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from torch import Tensor, nn
from torchvision.utils import make_grid

from facerec.errors import InputError
from facerec.files import replacing
from facerec.operators.tvconv import TVConv
from facerec.verification.verify import VerificationResult

_MANY_CURVES = 8  # whose legend has small letters


def roc_figure(results: Mapping[str, VerificationResult]) -> Figure:
    """Plot true accept rate over false accept rate on a logarithmic axis, one curve per benchmark."""
    figure = Figure(figsize=(5.5, 4.4 + legend_height(len(results))), layout="constrained")
    protocol = next(iter(results.values())).protocol
    draw_roc(figure, {roc_label(name, vars(r)): r.roc() for name, r in results.items()}, protocol)
    return figure


def roc_label(name: str, summary: Mapping[str, Any]) -> str:
    """Return the legend entry of a curve, from its result's summary or attributes."""
    return f"{name}: {100 * summary['accuracy']:.1f} ± {100 * summary['std']:.1f} %, AUC {summary['auc']:.3f}"


def legend_height(curves: int) -> float:
    """Return how many inches the legend of `draw_roc` needs below the axes."""
    return 0.5 + curves * (0.2 if curves < _MANY_CURVES else 0.13)


def draw_roc(figure: Figure | SubFigure, curves: Mapping[str, tuple[np.ndarray, np.ndarray]], protocol: str) -> None:
    """Draw ``curves``, which maps labels to (false accept rate, true accept rate), into a figure or a part of one."""
    axes = figure.add_subplot()
    # The smallest rate above 0 is one false accept: the pairs do not determine the curve to its left.
    smallest = min(float(rates[rates > 0].min()) for rates, _ in curves.values())
    for index, (label, (false_accepts, true_accepts)) in enumerate(curves.items()):
        style = ("-", "--", "-.")[index // 10 % 3]  # there are ten colours
        axes.step(np.maximum(false_accepts, smallest), true_accepts, style, where="post", label=label)
    chance = np.geomspace(smallest, 1, 100)
    axes.plot(chance, chance, color="grey", linestyle=":", linewidth=1, label="chance")
    axes.set(
        xscale="log", xlim=(min(smallest, 0.5), 1), ylim=(0, 1), xlabel="false accept rate", ylabel="true accept rate"
    )
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    size = "small" if len(curves) < _MANY_CURVES else "xx-small"
    title = "accuracy ± standard deviation over the folds"
    figure.legend(*axes.get_legend_handles_labels(), title=title, loc="outside lower center", fontsize=size)
    axes.set_title(f"verification, protocol {protocol}")


def spatial_layers(network: nn.Module) -> dict[str, TVConv]:
    """Return the layers of ``network`` that have affinity maps, by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, TVConv)}


def affinity_figure(network: nn.Module, max_layers: int = 6) -> Figure | None:
    """Plot the affinity maps of up to ``max_layers`` layers, one row per layer, and the RMS of their generated weights.

    Returns None for a network without such layers.
    """
    layers = spread(spatial_layers(network), max_layers)
    if not layers:
        return None
    maps = max(len(layer.affinity_maps[0]) for layer in layers.values())
    figure = Figure(figsize=(1.35 * (maps + 1) + 0.9, 1.4 * len(layers) + 0.6), layout="constrained")
    draw_affinity(figure, layers)
    return figure


def draw_affinity(figure: Figure | SubFigure, layers: Mapping[str, TVConv]) -> None:
    """Draw the rows of `affinity_figure` into a figure or a part of one. Each map has its own colour scale."""
    columns = max(len(layer.affinity_maps[0]) for layer in layers.values()) + 1
    axes = np.array(figure.subplots(len(layers), columns, squeeze=False))
    for cells, layer in zip(axes, layers.values(), strict=True):
        height, width = layer.affinity_maps.shape[2:]
        cells[0].set_ylabel(f"{layer.channels} channels\n{height}x{width}, stride {layer.stride}", fontsize="x-small")
        for cell, values in zip(cells, maps_of_layer(layer), strict=False):
            cell.imshow(values, cmap="magma")
            cell.set(xticks=[], yticks=[])
    for column, cell in enumerate(axes[0]):
        cell.set_title("weights, RMS" if column == columns - 1 else f"map {column + 1}", fontsize="small")


def spread(layers: dict[str, TVConv], most: int) -> dict[str, TVConv]:
    """Choose at most ``most`` evenly spaced layers, including the first and the last."""
    names = list(layers)
    return {names[index]: layers[names[index]] for index in evenly_spaced(len(names), most)}


def evenly_spaced(number: int, most: int) -> list[int]:
    """Choose at most ``most`` of the indices below ``number``, including the first and the last."""
    return np.linspace(0, number - 1, min(most, number)).round().astype(int).tolist()


def maps_of_layer(layer: TVConv) -> list[np.ndarray]:
    """Return the affinity maps and the RMS of the generated weights, each ``(H, W)``."""
    maps = layer.affinity_maps.detach().float().cpu().numpy()[0]
    weight = layer.weight().detach().float().cpu()
    return [*maps, weight.square().mean(dim=(0, 3)).sqrt().numpy()]


def refuse_no_figure(path: Path) -> None:
    """Raise `InputError` if the suffix of ``path`` names no format of a figure."""
    if path.suffix[1:] not in FigureCanvasBase.get_supported_filetypes():
        raise InputError(f"{path} has no suffix of an image file: end its name in .png, .svg or .pdf")


def save_figure(figure: Figure, path: Path) -> None:
    """Write ``figure`` in the format given by the suffix; raise `InputError` if the suffix names no format."""
    refuse_no_figure(path)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=150)


def image_grid(images: Tensor, columns: int = 8) -> Tensor:
    """Arrange normalised images ``(B, 3, H, W)`` in [-1, 1] in one image ``(3, H', W')`` in [0, 1]."""
    return make_grid((images.detach().float().cpu() + 1) / 2, nrow=columns, padding=2)
