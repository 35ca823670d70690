"""The affinity maps that TVConv learned, over the layers of each network of a sweep."""

from collections.abc import Sequence

from facerec.config.build import build_trained
from facerec.errors import InputError
from facerec.files import LAST
from facerec.operators.tvconv import TVConv
from facerec.pages.inline_images import map_picture
from facerec.pages.markup import Html, element
from facerec.plots.network import maps_of_layer, spatial_layers, spread
from facerec.runs.sweep import SweepRun, cells_of

_MOST_LAYERS, _MOST_NETWORKS = 6, 12


def affinity_maps(runs: Sequence[SweepRun], trust: bool) -> tuple[list[Html], list[str]]:
    """Return a table of maps per cell, of the last epoch of its first seed, and sentences on what is not shown."""
    parts, problems = [], []
    for cell, own in cells_of(runs).items():
        try:
            layers = _layers(own[0], trust)
        except InputError as error:
            problems.append(f"{cell}: {error}")
            continue
        if layers and len(parts) < _MOST_NETWORKS:
            parts.append(_maps(own[0], layers, is_open=not parts))
        elif layers:
            problems.append(f"{cell}: left out, because the page shows the maps of {_MOST_NETWORKS} networks")
    return parts, problems


def _layers(run: SweepRun, trust: bool) -> dict[str, TVConv]:
    if not (run.folder / LAST).is_file():
        raise InputError(f"{run.folder / LAST} is missing, so that the learned maps are not known")
    backbone, _, _ = build_trained(run.folder / LAST, trust=trust)
    return spread(spatial_layers(backbone), _MOST_LAYERS)


def _maps(run: SweepRun, layers: dict[str, TVConv], is_open: bool) -> Html:
    most = max(len(layer.affinity_maps[0]) for layer in layers.values())
    names = ["layer", *(f"map {number + 1}" for number in range(most)), "weights"]
    header = element("tr", *(element("th", name, scope="col") for name in names))
    rows = [_row(name, layer, most) for name, layer in layers.items()]
    table = element("table", element("thead", header), element("tbody", *rows), class_="maps")
    summary = element("summary", f"{run.cell} ", element("small", f"seed {run.results.config['seed']}"))
    box = element("div", table, class_="scroll", tabindex=0)
    return element("details", summary, box, open="" if is_open else None)


def _row(name: str, layer: TVConv, most: int) -> Html:
    height, width = layer.affinity_maps.shape[2:]
    *maps, weights = maps_of_layer(layer)
    said = f"{layer.channels} channels, {height}×{width}, stride {layer.stride}"  # noqa: RUF001
    cells = [element("td", map_picture(values, f"{name}, map {index + 1}")) for index, values in enumerate(maps)]
    cells += [element("td")] * (most - len(maps))
    named = element("td", name, element("br"), element("span", said))
    return element("tr", named, *cells, element("td", map_picture(weights, f"{name}, RMS of the weights")))
