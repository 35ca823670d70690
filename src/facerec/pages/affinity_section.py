"""The affinity maps that TVConv learned: over the layers of each network of a sweep, and of one layer over epochs."""

from collections.abc import Iterator, Sequence

import numpy as np

from facerec.config.trained import build_trained
from facerec.errors import InputError
from facerec.files import AFFINITY_MAPS, LAST
from facerec.operators.tvconv import TVConv
from facerec.pages.inline_images import map_image
from facerec.pages.markup import Html, element
from facerec.plots.network import evenly_spaced, maps_of_layer, spatial_layers, spread
from facerec.runs.sweep import SweepRun, cells_of
from facerec.training.callbacks.affinity_maps import EPOCHS, read_maps

_MOST_LAYERS, _MOST_NETWORKS, _MOST_EPOCHS = 6, 12, 6


def affinity_maps(runs: Sequence[SweepRun], trust: bool) -> tuple[list[Html], list[str]]:
    """Return the maps of each cell, and sentences on what is not shown.

    They are those of up to six layers after the last epoch, of the first seed; and those of the first layer over up to
    six epochs, of the first seed that kept them.
    """
    parts, problems = list[Html](), list[str]()
    for cell, own in cells_of(runs).items():
        tables = []
        for find in (_over_layers, _over_epochs):
            try:
                tables += find(own, trust)
            except InputError as error:
                problems.append(f"{cell}: {error}")
        if tables and len(parts) < _MOST_NETWORKS:
            content = element("div", *tables, class_="beside")
            parts.append(element("details", element("summary", cell), content, open=None if parts else ""))
        elif tables:
            problems.append(f"{cell}: left out, because the page shows the maps of {_MOST_NETWORKS} networks")
    return parts, problems


def are_kept(run: SweepRun) -> bool:
    """Return whether a run kept its maps of each epoch."""
    return (run.folder / AFFINITY_MAPS).is_file()


def _over_layers(runs: Sequence[SweepRun], trust: bool) -> Iterator[Html]:
    """Yield the table of a cell's layers, unless it has none with maps."""
    path = runs[0].folder / LAST
    if not path.is_file():
        raise InputError(f"{path} is missing, so that the learned maps are not known")
    backbone, _, _ = build_trained(path, trust=trust)
    layers = spread(spatial_layers(backbone), _MOST_LAYERS)
    if layers:
        most = max(len(layer.affinity_maps[0]) for layer in layers.values())
        header = ["Layer", *_numbered(most), "Weights"]
        rows = [_layer_row(name, layer, most) for name, layer in layers.items()]
        yield _table(f"By layer, after the last epoch, seed {runs[0].results.config['seed']}", header, rows)


def _layer_row(name: str, layer: TVConv, most: int) -> Html:
    height, width = layer.affinity_maps.shape[2:]
    *maps, weights = maps_of_layer(layer)
    said = f"{layer.channels} channels, {height}×{width}, stride {layer.stride}"  # noqa: RUF001
    cells = [element("td", map_image(values, f"{name}, map {index + 1}")) for index, values in enumerate(maps)]
    cells += [element("td")] * (most - len(maps))
    named = element("td", name, element("br"), element("span", said))
    return element("tr", named, *cells, element("td", map_image(weights, f"{name}, RMS of the weights")))


def _over_epochs(runs: Sequence[SweepRun], trust: bool) -> Iterator[Html]:
    """Yield the table of a cell's epochs, unless none of its runs kept maps; a map has the same colours in all rows."""
    run = next(filter(are_kept, runs), None)
    kept = read_maps(run.folder / AFFINITY_MAPS) if run else {}
    layer = next((name for name in kept if name != EPOCHS), None)
    if run and layer:
        shown = evenly_spaced(len(kept[EPOCHS]), _MOST_EPOCHS)
        history = kept[layer][shown].astype(np.float32)
        spans = [_span(maps) for maps in history.swapaxes(0, 1)]
        epochs = kept[EPOCHS][shown] + 1
        rows = [_epoch_row(epoch, maps, spans) for epoch, maps in zip(epochs, history, strict=True)]
        title = f"{layer} over the epochs, seed {run.results.config['seed']}"
        yield _table(title, ["Epoch", *_numbered(len(spans))], rows)


def _span(maps: np.ndarray) -> tuple[float, float]:
    finite = maps[np.isfinite(maps)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _epoch_row(epoch: int, maps: np.ndarray, spans: Sequence[tuple[float, float]]) -> Html:
    drawn = [
        element("td", map_image(values, f"epoch {epoch}, map {index + 1}", span))
        for index, (values, span) in enumerate(zip(maps, spans, strict=True))
    ]
    return element("tr", element("td", str(epoch)), *drawn)


def _numbered(number: int) -> list[str]:
    return [f"Map {index + 1}" for index in range(number)]


def _table(title: str, header: Sequence[str], rows: Sequence[Html]) -> Html:
    names = element("tr", *(element("th", name, scope="col") for name in header))
    table = element("table", element("thead", names), element("tbody", *rows), class_="maps")
    return element("figure", element("figcaption", title), element("div", table, class_="scroll", tabindex=0))
