"""The pictures of a run: ROC curves, affinity maps, generated weights, training images."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchvision.utils import make_grid

from facerec.operators.tvconv import TVConv
from facerec.verification import VerificationResult


def roc_figure(results: Mapping[str, VerificationResult]) -> Figure:
    """True accept rate over false accept rate on a logarithmic axis, a curve for each name."""
    figure = Figure(figsize=(5.5, 4.5), layout="constrained")
    draw_roc(figure, results)
    return figure


def draw_roc(figure: Figure, results: Mapping[str, VerificationResult]) -> None:
    """Draw `roc_figure` into ``figure``, which may be a part of a larger one."""
    axes = figure.add_subplot()
    smallest = min(1 / max(1, int((~result.is_same).sum())) for result in results.values())
    for name, result in results.items():
        false_accepts, true_accepts = result.roc()
        label = f"{name}: {100 * result.accuracy:.1f} ± {100 * result.std:.1f} %, AUC {result.auc:.3f}"
        axes.step(np.maximum(false_accepts, smallest), true_accepts, where="post", label=label)
    chance = np.geomspace(smallest, 1, 100)
    axes.plot(chance, chance, color="grey", linestyle=":", linewidth=1, label="chance")
    axes.set(xscale="log", xlim=(smallest, 1), ylim=(0, 1), xlabel="false accept rate", ylabel="true accept rate")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize="small")
    protocols = ", ".join(sorted({result.protocol for result in results.values()}))
    axes.set_title(f"verification, protocol {protocols}")


def spatial_layers(network: nn.Module) -> dict[str, TVConv]:
    """The layers of ``network`` that have affinity maps, by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, TVConv)}


def affinity_figure(network: nn.Module, max_layers: int = 6) -> Figure | None:
    """The affinity maps of up to ``max_layers`` layers, a row each, and how strong the weights they generate are.

    None for a network without such layers. Each picture has its own scale; black is its lowest value.
    """
    layers = spatial_layers(network)
    if not layers:
        return None
    chosen = [
        list(layers)[i] for i in np.linspace(0, len(layers) - 1, min(max_layers, len(layers))).round().astype(int)
    ]
    maps = len(layers[chosen[0]].affinity_maps[0])
    figure = Figure(figsize=(1.5 * (maps + 1) + 1.2, 1.55 * len(chosen) + 0.5), layout="constrained")
    draw_affinity(figure, {name: layers[name] for name in chosen})
    return figure


def draw_affinity(figure: Figure, layers: Mapping[str, TVConv]) -> None:
    """Draw the rows of `affinity_figure` into ``figure``, which may be a part of a larger one."""
    columns = max(len(layer.affinity_maps[0]) for layer in layers.values()) + 1
    axes = np.array(figure.subplots(len(layers), columns, squeeze=False))
    for row, layer in zip(axes, layers.values(), strict=True):
        height, width = layer.affinity_maps.shape[2:]
        row[0].set_ylabel(f"{layer.channels} channels\n{height}x{width}, stride {layer.stride}", fontsize="small")
        for cell, picture in zip(row, _pictures(layer), strict=False):
            cell.imshow(picture, cmap="magma")
            cell.set(xticks=[], yticks=[])
    for number, cell in enumerate(axes[0]):
        cell.set_title("weights (RMS)" if number == columns - 1 else f"map {number + 1}", fontsize="small")


def _pictures(layer: TVConv) -> list[np.ndarray]:
    maps = layer.affinity_maps.detach().float().cpu().numpy()[0]
    weight = layer.weight().detach().float().cpu()
    return [*maps, weight.square().mean(dim=(0, 3)).sqrt().numpy()]


def image_grid(images: Tensor, columns: int = 8) -> Tensor:
    """Normalised images ``(B, 3, H, W)`` in [-1, 1] as one picture ``(3, H', W')`` in [0, 1]."""
    return make_grid((images.detach().float().cpu() + 1) / 2, nrow=columns, padding=2)
