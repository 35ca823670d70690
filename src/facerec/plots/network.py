"""The pictures of a run: ROC curves, affinity maps, generated weights, training images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure, SubFigure
from torch import Tensor, nn
from torchvision.utils import make_grid

from facerec.errors import InputError
from facerec.files import replacing
from facerec.operators.tvconv import TVConv
from facerec.verification.verify import VerificationResult


def roc_figure(results: Mapping[str, VerificationResult]) -> Figure:
    """True accept rate over false accept rate on a logarithmic axis, a curve for each benchmark."""
    figure = Figure(figsize=(5.5, 4.5), layout="constrained")
    protocol = next(iter(results.values())).protocol
    draw_roc(figure, {roc_label(name, r.summary()): r.roc() for name, r in results.items()}, protocol)
    return figure


def roc_label(name: str, summary: Mapping[str, Any]) -> str:
    """The legend's line for a curve, from its result's summary."""
    return f"{name}: {100 * summary['accuracy']:.1f} ± {100 * summary['std']:.1f} %, AUC {summary['auc']:.3f}"


def draw_roc(figure: Figure | SubFigure, curves: Mapping[str, tuple[np.ndarray, np.ndarray]], protocol: str) -> None:
    """Draw ``curves``, label to (false accept rate, true accept rate), into a figure or a part of one."""
    axes = figure.add_subplot()
    # The first rate above 0 is one false accept: nothing is known to its left.
    smallest = min(float(rates[rates > 0].min()) for rates, _ in curves.values())
    for number, (label, (false_accepts, true_accepts)) in enumerate(curves.items()):
        style = ("-", "--", "-.")[number // 10 % 3]  # there are ten colours
        axes.step(np.maximum(false_accepts, smallest), true_accepts, style, where="post", label=label)
    chance = np.geomspace(smallest, 1, 100)
    axes.plot(chance, chance, color="grey", linestyle=":", linewidth=1, label="chance")
    axes.set(
        xscale="log", xlim=(min(smallest, 0.5), 1), ylim=(0, 1), xlabel="false accept rate", ylabel="true accept rate"
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize="small" if len(curves) < 8 else "xx-small")
    axes.set_title(f"verification, protocol {protocol}")


def spatial_layers(network: nn.Module) -> dict[str, TVConv]:
    """The layers of ``network`` that have affinity maps, by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, TVConv)}


def affinity_figure(network: nn.Module, max_layers: int = 6) -> Figure | None:
    """The affinity maps of up to ``max_layers`` layers, a row each, and how strong the weights they generate are.

    None for a network without such layers.
    """
    layers = spread(spatial_layers(network), max_layers)
    if not layers:
        return None
    maps = max(len(layer.affinity_maps[0]) for layer in layers.values())
    figure = Figure(figsize=(1.35 * (maps + 1) + 0.9, 1.4 * len(layers) + 0.6), layout="constrained")
    draw_affinity(figure, layers)
    return figure


def draw_affinity(figure: Figure | SubFigure, layers: Mapping[str, TVConv]) -> None:
    """Draw the rows of `affinity_figure` into a figure or a part of one. Each picture has a scale of its own."""
    columns = max(len(layer.affinity_maps[0]) for layer in layers.values()) + 1
    axes = np.array(figure.subplots(len(layers), columns, squeeze=False))
    for cells, layer in zip(axes, layers.values(), strict=True):
        height, width = layer.affinity_maps.shape[2:]
        cells[0].set_ylabel(f"{layer.channels} channels\n{height}x{width}, stride {layer.stride}", fontsize="x-small")
        for cell, picture in zip(cells, _pictures(layer), strict=False):
            cell.imshow(picture, cmap="magma")
            cell.set(xticks=[], yticks=[])
    for number, cell in enumerate(axes[0]):
        cell.set_title("weights, RMS" if number == columns - 1 else f"map {number + 1}", fontsize="small")


def spread(layers: dict[str, TVConv], most: int) -> dict[str, TVConv]:
    """At most ``most`` of the layers, the first and the last among them."""
    names = list(layers)
    places = np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)
    return {names[place]: layers[names[place]] for place in places}


def _pictures(layer: TVConv) -> list[np.ndarray]:
    maps = layer.affinity_maps.detach().float().cpu().numpy()[0]
    weight = layer.weight().detach().float().cpu()
    return [*maps, weight.square().mean(dim=(0, 3)).sqrt().numpy()]


def save_figure(figure: Figure, path: Path) -> None:
    """Write ``figure`` in the format that the suffix names; `InputError` when there is none."""
    if path.suffix[1:] not in figure.canvas.get_supported_filetypes():
        raise InputError(f"{path} is no picture file: end its name in .png, .svg or .pdf")
    with replacing(path) as partial:
        figure.savefig(partial, dpi=150)


def image_grid(images: Tensor, columns: int = 8) -> Tensor:
    """Normalised images ``(B, 3, H, W)`` in [-1, 1] as one picture ``(3, H', W')`` in [0, 1]."""
    return make_grid((images.detach().float().cpu() + 1) / 2, nrow=columns, padding=2)
