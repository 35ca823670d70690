"""Variance of a network's features over positions and over images: figure 1e of the TVConv paper (arXiv 2203.10489).

The paper finds features of aligned faces to differ much within an image and little across images. It does not print how
it measures that; here it is, per layer with features x of image n, channel c and position p, all variances those of the
population:

    intra-image variance    mean over c of (mean over n of the variance of x over p) / total of c
    cross-image variance    mean over c of (mean over p of the variance of x over n) / total of c
    total of c              variance of x over n and p together

Both are fractions of the total, because the scale of a channel means nothing: a batch normalisation follows. 1 minus
the cross-image variance is the part that the position alone explains. Channels that do not vary are left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from facerec.operators.base import SpatialOperator


@dataclass(frozen=True)
class FeatureVariance:
    """Intra-image and cross-image variance of one layer's features, as fractions of the total; 0 where nothing varies.

    ``size`` is (height, width) of the layer's map.
    """

    layer: str
    size: tuple[int, int]
    intra: float
    cross: float


class _Sums:
    """Sums over images, in float64, from which the variances of one layer follow."""

    def __init__(self) -> None:
        self.images = 0
        self.values = self.squares = self.means_squared = torch.zeros(())

    def add(self, features: Tensor) -> None:
        x = features.detach().double().flatten(2).cpu()  # (B, C, P)
        self.size = (features.shape[2], features.shape[3])
        self.images += len(x)
        self.values, self.squares = self.values + x.sum(0), self.squares + x.square().sum(0)
        self.means_squared = self.means_squared + x.mean(2).square().sum(0)

    def variances(self, layer: str) -> FeatureVariance:
        mean, square = self.values / self.images, self.squares / self.images  # over images, (C, P)
        intra = square.mean(1) - self.means_squared / self.images
        cross = (square - mean.square()).mean(1)
        total = square.mean(1) - mean.mean(1).square()
        varies = total > 1e-12 * square.mean(1)  # else it is rounding
        found = [float((part[varies] / total[varies]).mean()) if varies.any() else 0.0 for part in (intra, cross)]
        return FeatureVariance(layer, self.size, *found)


@torch.inference_mode()
def feature_variances(network: nn.Module, batches: Iterable[Tensor], max_layers: int = 12) -> list[FeatureVariance]:
    """Measure the layers that mix positions: operators, and convolutions with kernels larger than 1.

    Args:
        network: run in evaluation mode; its mode is restored.
        batches: normalised images ``(B, 3, H, W)``; two images or more in all.
        max_layers: evenly spaced ones are measured, including the first and the last with more than one position.

    Returns:
        one result per layer in the order of the network; none if no layer has a map.
    """
    sums: dict[str, _Sums] = {}

    def hook(name: str, features: object) -> None:
        if isinstance(features, Tensor) and features.ndim == 4 and features[0, 0].numel() > 1:
            sums.setdefault(name, _Sums()).add(features)

    mixing = {name: module for name, module in network.named_modules() if _mixes_positions(module)}
    # Parts of an operator, such as the generator of TVConv's weights, have no features of the images.
    outer = {name: module for name, module in mixing.items() if not _inside(name, mixing)}
    chosen = _spread(list(outer), max_layers)
    hooks = [outer[n].register_forward_hook(lambda m, i, out, n=n: hook(n, out)) for n in chosen]
    was_training = network.training
    try:
        network.eval()
        for images in batches:
            network(images)
    finally:
        network.train(was_training)
        for one in hooks:
            one.remove()
    return [sums[name].variances(name) for name in chosen if name in sums]


def _mixes_positions(module: nn.Module) -> bool:
    return isinstance(module, SpatialOperator) or (isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1)


def _inside(name: str, others: Iterable[str]) -> bool:
    return any(name.startswith(f"{other}.") for other in others)


def _spread(names: list[str], most: int) -> list[str]:
    indices = np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)
    return [names[index] for index in indices]


def variance_figure(measured: Mapping[str, Sequence[FeatureVariance]]) -> Figure:
    """Plot both fractions over the layers, one panel per network."""
    columns = min(3, len(measured))
    rows = -(-len(measured) // columns)
    figure = Figure(figsize=(max(4.2 * columns, 5.2), 3.5 * rows + 0.5), layout="constrained")
    axes = np.array(figure.subplots(rows, columns, squeeze=False, sharey=True))
    for cell, (name, layers) in zip(axes.flat, measured.items(), strict=False):
        for index, (label, marker) in enumerate((("intra-image, over positions", "o"), ("cross-image", "s"))):
            values = [(layer.intra, layer.cross)[index] for layer in layers]
            cell.plot(range(len(layers)), values, f"{marker}-", markersize=4, label=label)
        cell.set_xticks(range(len(layers)), [f"{h}x{w}" for h, w in (layer.size for layer in layers)], rotation=60)
        cell.set(title=fill(name, 46), xlabel="layers by depth, size of the map", ylim=(0, 1.03))
        cell.title.set_fontsize("medium")
        cell.tick_params(axis="x", labelsize="small")
        cell.grid(alpha=0.3)
    for cell in axes.flat[len(measured) :]:
        cell.set_axis_off()
    for row in axes:
        row[0].set_ylabel("fraction of the total variance")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, title="variance of the features", loc="outside upper center", ncols=2)
    return figure
