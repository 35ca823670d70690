"""The affinity maps of trained networks, as in figures 6, 11 and 12 of the paper."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from matplotlib.figure import Figure

from facerec.config.build import build_faces
from facerec.config.trained import build_trained
from facerec.console import log
from facerec.errors import InputError
from facerec.files import AFFINITY_MAPS, OUTPUTS
from facerec.operators.tvconv import TVConv
from facerec.plots.map_figures import maps_figure, pixel_statistics_figure, statistics_figure
from facerec.plots.network import spatial_layers, spread
from facerec.runs.found_checkpoints import found_checkpoints
from facerec.runs.run_names import run_names
from facerec.training.callbacks.affinity_maps import EPOCHS, read_maps


def maps(folders: Sequence[Path], layer: str | None, trust: bool) -> Figure:
    """Return the maps by layer, and those of ``layer``, by default the first that was kept, over the epochs."""
    path, layers, run = _first_with_maps(folders, trust)
    followed, history, epochs = "", None, []
    kept = read_maps(path.parent / AFFINITY_MAPS)
    names = [name for name in kept if name != EPOCHS]
    if names:
        followed, epochs = layer or names[0], kept[EPOCHS].tolist()
        if followed not in names:
            raise InputError(f"layer={followed} is not in {path.parent / AFFINITY_MAPS}: take {' or '.join(names)}")
        history = kept[followed]
    else:
        log(
            f"{path.parent} has no {AFFINITY_MAPS}, so that no layer is followed over the epochs: train with "
            "callbacks=maps"
        )
    return maps_figure(layers, epochs, history, followed, run)


def data_and_maps(folders: Sequence[Path], overrides: Sequence[str], trust: bool, of_first_layer: bool) -> Figure:
    """Return the statistics of the training images beside the maps of the first layer, or of several layers.

    ``overrides`` are settings of the data, by default the checkpoint's.
    """
    path, layers, run = _first_with_maps(folders, trust)
    _, cfg, _ = build_trained(path, overrides, trust)
    data = build_faces(cfg)
    data.setup("fit")
    statistics = data.position_statistics(OUTPUTS / "cache")
    if of_first_layer:
        name, layer = next(iter(layers.items()))
        return pixel_statistics_figure(statistics, layer, f"{run}\n{name}")
    return statistics_figure(statistics, layers, run)


def _first_with_maps(folders: Sequence[Path], trust: bool) -> tuple[Path, dict[str, TVConv], str]:
    """Return the first checkpoint whose network has affinity maps, up to six of its layers, and a title."""
    found = found_checkpoints(folders)
    for path in found:
        backbone, _, checkpoint = build_trained(path, trust=trust)
        if layers := spread(spatial_layers(backbone), 6):
            if len(found) > 1:
                log(f"{path} is the first of {len(found)} checkpoints with affinity maps: name another one to draw it")
            return path, layers, _title(path, checkpoint)
    raise InputError(f"no checkpoint in {', '.join(map(str, folders))} has affinity maps: train operator=tvconv")


def _title(path: Path, checkpoint: dict[str, Any]) -> str:
    """Return which network is drawn, after which epoch, and where it is."""
    config = checkpoint["config"]
    network = f"{run_names([config])[0]}, seed {config['seed']}, after epoch {checkpoint['epoch'] + 1}"
    return "\n".join([network, *wrap("/".join(path.absolute().parts[-3:]), 70)])
