"""Accuracy against cost, as in figures 4, 5, 7, 8 and 9 of the paper, from finished runs."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure

from facerec.config.compose import compose, resolved
from facerec.config.options import CONFIG_FOLDER, options
from facerec.console import log
from facerec.errors import InputError
from facerec.files import OUTPUTS
from facerec.perf.kept_speeds import machine_name, measured_speeds
from facerec.plots.accuracy_cost import Point, accuracy_figure
from facerec.runs.paper_runs import PaperSweep, TrainedNetwork, accuracy_rows, common_benchmarks, trained_networks
from facerec.runs.report import find_runs
from facerec.runs.run_results import RunResults
from facerec.runs.speeds_file import SPEEDS

MACS, STORED = "MACs (M)", "parameters and cached weights (M)"
SPEED, MEMORY = "images per second, best of batch 1 to 16", "peak memory (MB), 8 images"
_AXES = {"4": [MACS], "7": [MACS, STORED], "8": [SPEED], "9": [MEMORY]}
_SWEEPS = {"4": ("figure4", "figure4_shufflenet"), "7": ("figure7", "figure7_mixer")}
_SWEEPS |= {"5": _SWEEPS["4"], "8": _SWEEPS["7"], "9": _SWEEPS["7"]}
_FEW_SETTINGS = 4  # that a sentence names
_FIRST = {"TVConv": 0, "Depthwise": 1}  # lines are drawn in this order


def tradeoff(number: str, folders: Sequence[Path], kept_in: Path, trust: bool) -> tuple[Figure, dict[str, Any] | None]:
    """Return figure ``number`` of the runs in ``folders``, and what figures 8 and 9 measure on this machine.

    The measurements are kept in the folder ``kept_in``.
    """
    networks, benchmarks = _networks(number, folders)
    costs = {network.name: _cost(network) for network in networks}
    measured, title = None, ""
    if number in ("8", "9"):
        measured = measured_speeds(networks, kept_in / SPEEDS, trust)
        for name, speed in measured.items():
            costs[name] |= {SPEED: speed["images_per_second"], MEMORY: speed["peak_memory_mb"]}
        title = f"measured on {machine_name()}; images of {_image_sizes(networks)} pixels"
    points = [Point(_line(n, networks), n.width, n.accuracies(benchmarks), costs[n.name]) for n in networks]
    return accuracy_figure(points, _AXES[number], _named(benchmarks), title), measured


def accuracy_table(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the rows of figure 5 of the runs in ``folders``."""
    return accuracy_rows(*_networks("5", folders))


def _cost(network: TrainedNetwork) -> dict[str, float]:
    cost = network.runs[0].cost
    stored = cost["params_deployed"] + cost["weight_map_elements"]
    return {MACS: cost["macs_paper"] / 1e6, STORED: stored / 1e6}


def _image_sizes(networks: Sequence[TrainedNetwork]) -> str:
    sizes = [network.runs[0].config["data"]["image_size"] for network in networks]
    return " and ".join(dict.fromkeys(f"{height}x{width}" for height, width in sizes))


def _networks(number: str, folders: Sequence[Path]) -> tuple[list[TrainedNetwork], list[str]]:
    """Return the networks in the folders and their common benchmarks, and say what the paper has beyond them."""
    results = [RunResults.read(run) for run in find_runs(list(folders), "Recognizer")]
    _say_missing([paper_sweep(name) for name in _SWEEPS[number]], results, folders)
    networks = sorted(trained_networks(results), key=_place)
    benchmarks = common_benchmarks(networks)
    if not benchmarks:
        raise InputError(
            f"the runs in {', '.join(map(str, folders))} have no benchmark in common: name folders of runs "
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
