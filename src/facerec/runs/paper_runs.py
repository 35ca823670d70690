"""The runs behind the figures of the TVConv paper: networks with their seeds, and the cells of a sweep."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from statistics import mean, stdev
from typing import Any

from facerec.data.held_out import HELD_OUT
from facerec.runs.run_names import differing_settings, network_parts, settings_of
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


def network_names(results: Sequence[RunResults]) -> list[str]:
    """Return, per run, the name of its network among all of them, as in `trained_networks`."""
    differences = differing_settings([result.config for result in results])
    return [TrainedNetwork([result], settings).name for result, settings in zip(results, differences, strict=True)]


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


class PaperSweep:
    """The cells of a sweep of the paper, compared with finished runs.

    Args:
        name: of the file in ``configs/sweep``.
        folder: the ``name=`` of its runs.
        config: the resolved settings of the sweep without its cell.
        params: the sweep's values, with commas between them, of width, seed and operator.
        operators: the node of each operator, by option.
    """

    def __init__(
        self,
        name: str,
        folder: str,
        config: Mapping[str, Any],
        params: Mapping[str, Any],
        operators: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.name, self.folder = name, folder
        values = product(*(str(each).split(",") for each in params.values()))
        self.cells = [dict(zip(params, cell, strict=True)) for cell in values]
        recipe = _recipe({key: value for key, value in config.items() if key not in params})
        chosen = {option: _recipe({"operator": node}) for option, node in operators.items()}
        self._recipes = [recipe | _typed(cell) | chosen.get(cell.get("operator", ""), {}) for cell in self.cells]

    def missing(self, results: Sequence[RunResults]) -> list[Cell]:
        """Return the cells that no run has."""
        found = [_recipe(result.config) for result in results]
        cells = zip(self.cells, self._recipes, strict=True)
        return [cell for cell, recipe in cells if all(_differences(own, recipe) for own in found)]

    def differences(self, result: RunResults) -> list[str]:
        """Return the settings in which a run differs from the nearest cell; none if it is one of them."""
        own = _recipe(result.config)
        return min((_differences(own, recipe) for recipe in self._recipes), key=len)


# What makes a training the paper's; the data, the device and what is kept or shown are the user's choice.
_OF_DATA = ("global_batch_size", "horizontal_flip", "sampling", "train_augmentation", "test_augmentation")
_OF_TRAINER = ("max_epochs", "max_steps", "limit_train_batches", "accumulate_grad_batches", "gradient_clip_val")


def _recipe(config: Mapping[str, Any]) -> Cell:
    """Return the settings of network and training, as typed."""
    parts = {key: value for key, value in config.items() if key != "affine_strength"}
    for node, kept in (("data", _OF_DATA), ("trainer", _OF_TRAINER)):
        parts[node] = {key: value for key, value in config.get(node, {}).items() if key in kept}
    seed = {"seed": str(config["seed"])} if "seed" in config else {}
    return settings_of(parts) | seed


def _typed(cell: Cell) -> Cell:
    typed = {key: value for key, value in cell.items() if key != "operator"}
    return typed | {"backbone.width": cell["width"]}


def _differences(own: Cell, recipe: Cell) -> list[str]:
    """Return the keys that differ; parts of a node that an older version did not write are ignored."""
    keys = [*own, *(key for key in recipe if key not in own and "." not in key)]
    return [key for key in keys if own.get(key) != recipe.get(key)]
