"""Draw a figure of the TVConv paper from finished runs: facerec plot_paper figure=4 outputs/figure4

    figure=1e   variance of the features within an image and across images, of checkpoints or of an untrained network:
                facerec plot_paper figure=1e outputs/NAME
                facerec plot_paper figure=1e backbone=timm backbone.name=resnet18 operator=none data=synthetic
    figure=4    accuracy against multiply-adds
    figure=5    the table of accuracies; out= ends in .md, .csv or .tex
    figure=6    affinity maps by layer and, of a run with callbacks=maps, of one layer over the epochs
    figure=7    accuracy against multiply-adds and against the values that are stored
    figure=8    accuracy against images per second; measured on this machine
    figure=9    accuracy against peak memory; measured on this machine
    figure=10   contours of cup and disc by several networks, of runs of task=segmentation
    figure=11   mean and standard deviation of the training images beside the maps of the first layer
    figure=12   the same beside the maps of several layers

Accuracy is that after the last epoch, the mean over benchmarks and seeds. What is there is drawn, and what is missing
is said. What figures 8 and 9 measured is kept in paper_speed.json beside the figure, and not measured again.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any, Literal

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from facerec.commands.mask_figures import contours
from facerec.config.build import build_backbone, build_faces, build_trained
from facerec.config.compose import compose, resolved
from facerec.config.options import CONFIG_FOLDER, options
from facerec.config.settings import command, run_settings, setting
from facerec.console import log
from facerec.data.datamodule import FaceDataModule
from facerec.data.loading import ImageDataset, normalise
from facerec.errors import InputError
from facerec.files import AFFINITY_MAPS, LAST, OUTPUTS
from facerec.operators.tvconv import TVConv
from facerec.perf.kept_speeds import machine_name, measured_speeds
from facerec.plots.accuracy_cost import Point, accuracy_figure
from facerec.plots.feature_variance import feature_variances, variance_figure
from facerec.plots.map_figures import maps_figure, pixel_statistics_figure, statistics_figure
from facerec.plots.network import refuse_no_figure, save_figure, spatial_layers, spread
from facerec.process import prepare_process
from facerec.runs.paper_runs import PaperSweep, TrainedNetwork, accuracy_rows, common_benchmarks, trained_networks
from facerec.runs.report import find_runs, show_table
from facerec.runs.run_names import run_names
from facerec.runs.run_results import RunResults
from facerec.runs.speeds_file import SPEEDS
from facerec.runs.table_formats import comma_separated, latex, markdown, write_table
from facerec.training.callbacks.affinity_maps import EPOCHS, read_maps

MACS, STORED = "MACs (M)", "parameters and cached weights (M)"
SPEED, MEMORY = "images per second, best of batch 1 to 16", "peak memory (MB), 8 images"
_AXES = {"4": [MACS], "7": [MACS, STORED], "8": [SPEED], "9": [MEMORY]}
_SWEEPS = {"4": ("figure4", "figure4_shufflenet"), "7": ("figure7", "figure7_mixer")}
_SWEEPS |= {"5": _SWEEPS["4"], "8": _SWEEPS["7"], "9": _SWEEPS["7"]}
_FEW_SETTINGS = 4  # that a sentence names
_FIRST = {"TVConv": 0, "Depthwise": 1}  # lines are drawn in this order
_TABLES = {".md": markdown, ".csv": comma_separated, ".tex": latex}
_OF_NETWORKS = ("1e", "11", "12")  # which read images


@dataclass
class Settings:
    """Settings:"""

    figure: Literal["1e", "4", "5", "6", "7", "8", "9", "10", "11", "12"] = setting("of the paper")
    folders: tuple[Path, ...] = setting("that contain runs, or checkpoints", (), word=True)
    out: Path | None = setting("file to write; figureN.png in the first folder if not given", None, written=True)
    layer: str | None = setting("figure 6: the layer to follow over the epochs; the first if not given", None)
    images: int = setting("figure 1e: number of images of the first benchmark", 512, least=2)
    trust: bool = setting("also build classes that are not facerec's: only if you trust the runs", False)
    overrides: tuple[str, ...] = run_settings(
        "figures 1e, 11 and 12: as for train, by default the checkpoints'",
        *("backbone", "operator", "data", "width", "image_size", "embedding_dim"),
    )


def draw(settings: Settings) -> dict[str, Any] | None:
    """Draw the figure; returns the numbers of one that is measured here."""
    prepare_process()
    out = settings.out or _default_out(settings)
    refuse_wrong_suffix = refuse_no_table if settings.figure == "5" else refuse_no_figure
    refuse_wrong_suffix(out)
    if settings.overrides and settings.figure not in _OF_NETWORKS:
        raise InputError(f"figure={settings.figure} is of finished runs: leave {settings.overrides[0]} out")
    draws: dict[str, Any] = {
        "1e": variances,
        "5": table,
        "6": maps,
        "10": masks,
        "11": data_and_maps,
        "12": data_and_maps,
    }
    numbers = draws.get(settings.figure, tradeoff)(settings, out)
    log(f"drawn: {out}")
    return numbers


def _default_out(settings: Settings) -> Path:
    folder = settings.folders[0] if settings.folders and settings.folders[0].is_dir() else OUTPUTS
    return folder / f"figure{settings.figure}{'.md' if settings.figure == '5' else '.png'}"


def refuse_no_table(path: Path) -> None:
    """Raise `InputError` if the suffix of ``path`` names no format of a table."""
    if path.suffix not in _TABLES:
        raise InputError(f"{path} has no suffix of a table: end its name in {', '.join(_TABLES)}")


def masks(settings: Settings, out: Path) -> None:
    save_figure(contours(find_runs(list(settings.folders), "Segmenter"), settings.trust), out)


# Accuracy against cost


def tradeoff(settings: Settings, out: Path) -> dict[str, Any] | None:
    networks, benchmarks = _networks(settings)
    costs = {
        network.name: {
            MACS: network.runs[0].cost["macs_paper"] / 1e6,
            STORED: (network.runs[0].cost["params_deployed"] + network.runs[0].cost["weight_map_elements"]) / 1e6,
        }
        for network in networks
    }
    measured, title = None, ""
    if settings.figure in ("8", "9"):
        measured = measured_speeds(networks, out.with_name(SPEEDS), settings.trust)
        for name, speed in measured.items():
            costs[name] |= {SPEED: speed["images_per_second"], MEMORY: speed["peak_memory_mb"]}
        title = f"measured on {machine_name()}; images of {_image_sizes(networks)} pixels"
    points = [Point(_line(n, networks), n.width, n.accuracies(benchmarks), costs[n.name]) for n in networks]
    save_figure(accuracy_figure(points, _AXES[settings.figure], _named(benchmarks), title), out)
    return measured


def _image_sizes(networks: Sequence[TrainedNetwork]) -> str:
    sizes = [network.runs[0].config["data"]["image_size"] for network in networks]
    return " and ".join(dict.fromkeys(f"{height}x{width}" for height, width in sizes))


def table(settings: Settings, out: Path) -> None:
    rows = accuracy_rows(*_networks(settings))
    show_table(rows, "accuracy in percent after the last epoch ± standard deviation over seeds")
    write_table(_TABLES[out.suffix](rows), out)


def _networks(settings: Settings) -> tuple[list[TrainedNetwork], list[str]]:
    """Return the networks in the folders and their common benchmarks, and say what the paper has beyond them."""
    results = [RunResults.read(run) for run in find_runs(_given_folders(settings), "Recognizer")]
    _say_missing([paper_sweep(name) for name in _SWEEPS[settings.figure]], results, settings.folders)
    networks = sorted(trained_networks(results), key=_place)
    benchmarks = common_benchmarks(networks)
    if not benchmarks:
        raise InputError(
            f"the runs in {', '.join(map(str, settings.folders))} have no benchmark in common: name folders of runs "
            "that were verified on the same"
        )
    return networks, benchmarks


def _place(network: TrainedNetwork) -> tuple[int, str, str, float]:
    """Return by what networks are sorted: lines, and within a line from narrow to wide."""
    macs = network.runs[0].cost["macs_paper"]
    return _FIRST.get(network.operator, 2), network.operator, network.backbone, macs


def _say_missing(sweeps: Sequence[PaperSweep], results: Sequence[RunResults], folders: Sequence[Path]) -> None:
    """Say which cells of the sweeps are missing, and how the runs that are none of them differ."""
    root, name = _root(results), _names_in_outputs(folders)
    for sweep in sweeps:
        if missing := sweep.missing(results):
            first = " ".join(f"{key}={value}" for key, value in missing[0].items())
            others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            elsewhere = f" name={name[0]}" if name and sweep.folder not in name else ""
            log(
                f"{len(sweep.cells) - len(missing)} of {len(sweep.cells)} runs of sweep={sweep.name} are there, {first}"
                f"{others} not: facerec train -m sweep={sweep.name} data.root={root}{elsewhere} skip_finished=true "
                "resume=auto"
            )
    differ = [min((sweep.differences(result) for sweep in sweeps), key=len) for result in results]
    if settings := list(dict.fromkeys(key for keys in differ for key in keys)):
        more = f" and {len(settings) - _FEW_SETTINGS} more" if len(settings) > _FEW_SETTINGS else ""
        log(
            f"{sum(map(bool, differ))} of {len(results)} runs that are drawn are not the paper's: they differ in "
            f"{', '.join(settings[:_FEW_SETTINGS])}{more}"
        )


def _root(results: Sequence[RunResults]) -> str:
    """Return the folder of the data, as typed, if all runs have the same."""
    roots = {str(result.config["data"].get("root", "")) for result in results}
    return shlex.quote(roots.pop()) if len(roots) == 1 and roots != {""} else "FOLDER"


def _names_in_outputs(folders: Sequence[Path]) -> list[str]:
    """Return the ``name=`` of the runs in ``folders``, as far as they are in the folder of outputs."""
    outputs = OUTPUTS.resolve()
    inside = [folder.resolve() for folder in folders if folder.resolve().is_relative_to(outputs)]
    return [folder.relative_to(outputs).parts[0] for folder in inside if folder != outputs]


def paper_sweep(name: str) -> PaperSweep:
    """Return the sweep of ``configs/sweep/NAME.yaml``."""
    cfg = compose([f"sweep={name}", "data.root=FOLDER"])
    file = CONFIG_FOLDER / "sweep" / f"{name}.yaml"
    params = yaml.safe_load(file.read_text(encoding="utf-8"))["hydra"]["sweeper"]["params"]
    return PaperSweep(name, cfg.name, resolved(cfg), params, _operators())


def _operators() -> dict[str, dict[str, Any]]:
    """Return the node of each operator by the name of its option."""
    files = {name: CONFIG_FOLDER / "operator" / f"{name}.yaml" for name in options("operator")}
    return {name: yaml.safe_load(file.read_text(encoding="utf-8")) for name, file in files.items()}


def _line(network: TrainedNetwork, networks: Sequence[TrainedNetwork]) -> str:
    several = len({other.backbone for other in networks if other.operator}) > 1
    return ", ".join(filter(None, (network.backbone if several or not network.operator else "", network.operator)))


def _named(benchmarks: Sequence[str]) -> str:
    return benchmarks[0] if len(benchmarks) == 1 else f"mean of {', '.join(benchmarks)}"


# Networks and their maps


def maps(settings: Settings, out: Path) -> None:
    path, layers, run = _first_with_maps(settings)
    followed, history, epochs = "", None, []
    kept = read_maps(path.parent / AFFINITY_MAPS)
    names = [name for name in kept if name != EPOCHS]
    if names:
        followed, epochs = settings.layer or names[0], kept[EPOCHS].tolist()
        if followed not in names:
            raise InputError(f"layer={followed} is not in {path.parent / AFFINITY_MAPS}: take {' or '.join(names)}")
        history = kept[followed]
    else:
        log(
            f"{path.parent} has no {AFFINITY_MAPS}, so that no layer is followed over the epochs: train with "
            "callbacks=maps"
        )
    save_figure(maps_figure(layers, epochs, history, followed, run), out)


def data_and_maps(settings: Settings, out: Path) -> None:
    path, layers, run = _first_with_maps(settings)
    _, cfg, _ = build_trained(path, settings.overrides, settings.trust)
    data = build_faces(cfg)
    data.setup("fit")
    statistics = data.position_statistics(OUTPUTS / "cache")
    if settings.figure == "11":
        name, layer = next(iter(layers.items()))
        figure = pixel_statistics_figure(statistics, layer, f"{run}\n{name}")
    else:
        figure = statistics_figure(statistics, layers, run)
    save_figure(figure, out)


def _first_with_maps(settings: Settings) -> tuple[Path, dict[str, TVConv], str]:
    """Return the first checkpoint whose network has affinity maps, up to six of its layers, and a title."""
    found = checkpoints(_given_folders(settings))
    for path in found:
        backbone, _, checkpoint = build_trained(path, trust=settings.trust)
        if layers := spread(spatial_layers(backbone), 6):
            if len(found) > 1:
                log(f"{path} is the first of {len(found)} checkpoints with affinity maps: name another one to draw it")
            return path, layers, _title(path, checkpoint)
    raise InputError(
        f"no checkpoint in {', '.join(map(str, settings.folders))} has affinity maps: train operator=tvconv"
    )


def _title(path: Path, checkpoint: dict[str, Any]) -> str:
    """Return which network is drawn, after which epoch, and where it is."""
    config = checkpoint["config"]
    network = f"{run_names([config])[0]}, seed {config['seed']}, after epoch {checkpoint['epoch'] + 1}"
    return "\n".join([network, *wrap("/".join(path.absolute().parts[-3:]), 70)])


def checkpoints(folders: Sequence[Path]) -> list[Path]:
    """Return the given files, and the last checkpoint of every run in the given folders."""
    found = sorted({path for folder in folders for path in ([folder] if folder.is_file() else folder.rglob(LAST))})
    if not found:
        raise InputError(f"no {LAST} in {', '.join(map(str, folders))}: name a folder of runs, or a checkpoint")
    return found


def _given_folders(settings: Settings) -> list[Path]:
    if not settings.folders:
        raise InputError(f"figure={settings.figure} is drawn from runs: name a folder, such as outputs/NAME")
    return list(settings.folders)


def variances(settings: Settings, out: Path) -> dict[str, Any]:
    """Measure the features of every checkpoint, and of the network that ``backbone=`` builds."""
    measured = {}
    for name, network, data in _opened(settings):
        found = feature_variances(network, _images(data, settings.images))
        if not found:
            raise InputError(f"{name} has no layer with a map of features: take a convolutional network")
        measured[name] = found
    save_figure(variance_figure(measured), out)
    return {name: [asdict(layer) for layer in layers] for name, layers in measured.items()}


def _opened(settings: Settings) -> Iterator[tuple[str, nn.Module, FaceDataModule]]:
    own = any(one.lstrip("+").startswith("backbone=") for one in settings.overrides)
    if not settings.folders and not own:
        raise InputError("figure=1e needs a network: name a folder of runs, or add backbone=... and data=...")
    if settings.folders:
        for_trained = [one for one in settings.overrides if one.lstrip("+").startswith("data")]
        paths = checkpoints(settings.folders)
        opened = [build_trained(path, for_trained, settings.trust) for path in paths]
        names = run_names([checkpoint["config"] for _, _, checkpoint in opened])
        for name, (network, cfg, _) in zip(names, opened, strict=True):
            yield name, network, build_faces(cfg)
    if own:
        cfg = compose(list(settings.overrides))
        name = cfg.backbone.get("name") or cfg.backbone._target_.rpartition(".")[2]
        trained = "pretrained" if cfg.backbone.get("pretrained") else "untrained"
        torch.manual_seed(cfg.seed)
        yield f"{name}, {trained}", build_backbone(cfg), build_faces(cfg)


def _images(data: FaceDataModule, number: int) -> Iterator[Tensor]:
    """Yield batches of ``number`` evenly spaced images of the first benchmark, so that many people are among them."""
    data.setup("validate")
    source = data.opened_benchmarks[0].images
    dataset = ImageDataset(source, np.arange(len(source)), (data.image_size[0], data.image_size[1]))
    indices = np.unique(np.linspace(0, len(source) - 1, number).round().astype(int))
    for start in range(0, len(indices), 64):
        yield normalise(dataset.__getitems__(indices[start : start + 64].tolist())[0])


main = command(Settings, draw)
