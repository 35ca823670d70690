"""The runs behind the figures of the TVConv paper: networks with their seeds, and the cells of a sweep that lack."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from statistics import mean, stdev
from typing import Any

from facerec.data.held_out import HELD_OUT
from facerec.runs.run_names import differing_settings, network_parts
from facerec.runs.run_results import RunResults
from facerec.runs.table_formats import Row

Cell = dict[str, str]
_NO_VALUE = "-"


class TrainedNetwork:
    """A network, trained with one seed or more.

    Attributes:
        backbone: such as ``MobileNetV2``.
        width: such as ``x0.1``; empty for a network without a width.
        operator: with the settings in which it differs from others.
        runs: one per seed.
    """

    def __init__(self, runs: Sequence[RunResults], settings: str) -> None:
        name, operator, _ = network_parts(runs[0].config)
        self.backbone, _, self.width = name.partition(" ")
        self.operator = " ".join(filter(None, ("" if operator == "none" else operator, settings)))
        self.runs = list(runs)

    @property
    def name(self) -> str:
        """All that tells it from the others."""
        return ", ".join(filter(None, (f"{self.backbone} {self.width}".strip(), self.operator)))

    def benchmarks(self) -> list[str]:
        """Return the benchmarks that all its runs were verified on, without held-out identities."""
        first = [name for name in self.runs[0].last["benchmarks"] if name != HELD_OUT]
        return [name for name in first if all(name in run.last["benchmarks"] for run in self.runs)]

    def accuracies(self, benchmarks: Sequence[str]) -> tuple[float, ...]:
        """Return the mean accuracy over ``benchmarks`` after the last epoch, one per seed."""
        return tuple(mean(run.last["benchmarks"][name]["accuracy"] for name in benchmarks) for run in self.runs)


def trained_networks(results: Sequence[RunResults]) -> list[TrainedNetwork]:
    """Group runs that differ in the seed only; of repeated runs of a seed, the one that started last counts."""
    differences = differing_settings([result.config for result in results])
    groups: dict[tuple[str, ...], dict[int, RunResults]] = defaultdict(dict)
    for result, settings in zip(results, differences, strict=True):
        seeds, seed = groups[*network_parts(result.config), settings], result.config["seed"]
        seeds[seed] = max(seeds.get(seed, result), result, key=lambda run: run.started)
    return [TrainedNetwork([runs[seed] for seed in sorted(runs)], key[-1]) for key, runs in groups.items()]


def common_benchmarks(networks: Sequence[TrainedNetwork]) -> list[str]:
    """Return the benchmarks that all networks were verified on: an accuracy over others could not be compared."""
    return [n for n in networks[0].benchmarks() if all(n in other.benchmarks() for other in networks)]


def accuracy_rows(networks: Sequence[TrainedNetwork], benchmarks: Sequence[str]) -> list[Row]:
    """Return figure 5: one row per network, accuracies in percent ± standard deviation over seeds, and their mean."""
    rows = []
    for network in sorted(networks, key=lambda one: (one.backbone, one.runs[0].cost["macs_paper"], one.operator)):
        cells = {name: _spread(network.accuracies([name])) for name in benchmarks}
        if len(benchmarks) > 1:
            cells["mean"] = _spread(network.accuracies(benchmarks))
        macs = f"{network.runs[0].cost['macs_paper'] / 1e6:.2f}"
        rows.append(
            {
                "backbone": f"{network.backbone} {network.width}".strip(),
                "operator": network.operator or _NO_VALUE,
                "MACs (M)": macs,
                **cells,
                "seeds": str(len(network.runs)),
            }
        )
    return rows


def _spread(values: Sequence[float]) -> str:
    return f"{100 * mean(values):.2f}" + (f" ± {100 * stdev(values):.2f}" if len(values) > 1 else "")


def missing_cells(
    params: Mapping[str, Any], results: Sequence[RunResults], options: Mapping[str, Mapping[str, str]]
) -> tuple[list[Cell], int]:
    """Return the cells of a sweep with these ``params`` that no run has, and how many cells it has in all.

    ``options`` names, for the groups backbone and operator, the option of each class, for runs that took the default.
    """
    cells = list(_cells(params))
    found = [_settings_of(result, options) for result in results]
    return [cell for cell in cells if not any(cell.items() <= settings.items() for settings in found)], len(cells)


def _cells(params: Mapping[str, Any]) -> Iterator[Cell]:
    values = [re.split(r",(?![^\[]*\])", str(value)) for value in params.values()]
    return (dict(zip(params, cell, strict=True)) for cell in product(*values))


def _settings_of(result: RunResults, options: Mapping[str, Mapping[str, str]]) -> Cell:
    """Return the settings that a run was started with, as typed, and those of a sweep that it took from elsewhere."""
    name, operator, _ = network_parts(result.config)
    chosen = {
        "backbone": options["backbone"].get(name.partition(" ")[0]),
        "operator": options["operator"].get(operator),
    }
    typed = {key: value for key, _, value in (word.partition("=") for word in result.command.split()) if value}
    root = {"width": str(result.config.get("width")), "seed": str(result.config["seed"])}
    return {**{key: value for key, value in chosen.items() if value is not None}, **typed, **root}
