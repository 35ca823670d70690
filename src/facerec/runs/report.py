"""The table of runs, from their results.json."""

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, variance
from typing import Any

from rich.console import Console

from facerec.data.held_out import HELD_OUT
from facerec.errors import InputError
from facerec.files import RESULTS
from facerec.runs.run_names import differing_settings, network_parts
from facerec.runs.run_results import RunResults
from facerec.runs.table_formats import Row, terminal_table
from facerec.verification.intervals import Interval, wilson
from facerec.verification.paired_comparison import Variances

# Columns that the terminal has no space for.
_FILE_ONLY = ("head", "deployed (M)", "maps (M)", "protocol", "data", "commit")


def find_runs(folders: Iterable[str | Path]) -> list[Path]:
    """Return the folders of finished runs in ``folders``, at any depth; raise `InputError` if there are none."""
    folders = [Path(folder) for folder in folders]
    runs = sorted({file.parent for folder in folders for file in folder.rglob(RESULTS)})
    if not runs:
        raise InputError(f"no {RESULTS} in {', '.join(map(str, folders))}: name a folder of finished runs")
    return runs


def table_rows(runs: Iterable[Path]) -> list[Row]:
    """Return two rows per set of runs that differ only in the seed, of the best and of the last epoch.

    The first is of the last epoch, unless the best was chosen on held-out identities: an epoch that was chosen on the
    benchmarks on which it is reported looks better than it is. Accuracies are means over seeds in percent, with the
    95 % interval over seeds and pairs; with one seed, over pairs alone. Among repeated runs with the same seed, the one
    that started last counts.
    """
    cells: dict[str, dict[int, RunResults]] = defaultdict(dict)
    for result in map(RunResults.read, runs):
        seeds, seed = cells[all_but_seed(result)], result.config["seed"]
        seeds[seed] = max(seeds.get(seed, result), result, key=lambda run: run.started)
    differences = differing_settings([next(iter(results.values())).config for results in cells.values()])
    return [
        _row(list(results.values()), checkpoint, settings)
        for results, settings in zip(cells.values(), differences, strict=True)
        for checkpoint in _checkpoints(next(iter(results.values())))
    ]


def _checkpoints(result: RunResults) -> tuple[str, str]:
    return ("best", "last") if result.best_chosen_on == [HELD_OUT] else ("last", "best")


def all_but_seed(result: RunResults) -> str:
    """Return a text that runs share which differ in the seed only."""
    settings = {key: value for key, value in result.config.items() if key != "seed"}
    settings["data"] = {key: value for key, value in settings["data"].items() if key != "seed"}
    return json.dumps([settings, result.data, result.protocol], sort_keys=True)


def _row(results: list[RunResults], checkpoint: str, settings: str) -> Row:
    first = results[0]
    config, cost = first.config, first.cost
    backbone, operator, head = network_parts(config)
    speeds = [r.training_images_per_second for r in results if r.training_images_per_second is not None]
    summaries = [getattr(result, checkpoint) for result in results]
    return {
        "backbone": backbone,
        "operator": operator,
        **({"settings": settings} if settings else {}),
        "head": head,
        "epoch": f"{checkpoint} {','.join(sorted({str(summary['epoch'] + 1) for summary in summaries}, key=int))}",
        "chosen on": ", ".join(first.best_chosen_on or ["benchmarks"]) if checkpoint == "best" else "",
        **{
            name: _accuracy([summary["benchmarks"][name] for summary in summaries]) for name in first.best["benchmarks"]
        },
        "MACs (M)": f"{cost['macs_paper'] / 1e6:.2f}",
        "params (M)": f"{cost['params'] / 1e6:.3f}",
        "deployed (M)": f"{cost['params_deployed'] / 1e6:.3f}",
        "maps (M)": f"{cost['weight_map_elements'] / 1e6:.3f}",
        "images/s": f"{mean(speeds):.0f}" if speeds else "",
        "seeds": str(len(results)),
        "protocol": first.protocol,
        "data": first.data["train"]["fingerprint"],
        "commit": ",".join(sorted({(r.git_commit or "none")[:7] for r in results})),
    }


def _accuracy(summaries: list[dict[str, Any]]) -> str:
    values = [summary["accuracy"] for summary in summaries]
    bounds = mean_accuracy_interval(summaries)
    shown = "[n/a]" if bounds is None else f"[{100 * bounds.low:.2f}, {100 * bounds.high:.2f}]"
    return f"{100 * mean(values):.2f} {shown}"


def mean_accuracy_interval(summaries: list[dict[str, Any]]) -> Interval | None:
    """Return the 95 % interval of the mean accuracy of runs that differ in the seed, from their summaries.

    The errors over pairs are taken for those of all seeds in common, which makes the interval slightly too wide;
    `compare_groups` knows better. None if an older version wrote one of them.
    """
    errors = [s["accuracy_error"] for s in summaries if s.get("accuracy_error") is not None]
    if len(errors) < len(summaries):
        return None
    people = [int(summary["num_people"]) for summary in summaries]
    accuracies = [summary["accuracy"] for summary in summaries]
    number = len(accuracies)
    seeds = variance(accuracies) / number if number > 1 else None
    found = Variances(mean(error**2 for error in errors), seeds, 0.0)
    return wilson(mean(accuracies), found.total(), people[0], found.degrees_of_freedom(number, people[0]))


def shared_sentences(runs: Iterable[Path]) -> list[str]:
    """Return a sentence for each benchmark that shares people or images with the training set of a run."""
    found: dict[str, None] = {}
    for result in map(RunResults.read, runs):
        for name, summary in result.last["benchmarks"].items():
            if summary.get("shared_people") or summary.get("shared_images"):
                found[_shared(name, summary, result.data["train"]["fingerprint"])] = None
    return list(found)


def _shared(name: str, summary: dict[str, Any], fingerprint: str) -> str:
    accuracy, people = summary["accuracy_unshared"], summary["shared_people"]
    without = "n/a" if accuracy is None else f"{100 * accuracy:.2f} percent, both kinds of pairs weighted alike"
    left = f"{summary['unshared_pairs']} pairs without them: {without}"
    return (
        f"{name} shares {'an unknown number of' if people is None else people} people and {summary['shared_images']} "
        f"images with the training set {fingerprint}, which makes its accuracy optimistic; {left}"
    )


def show(rows: list[Row]) -> None:
    """Print the rows on the terminal."""
    protocols = ", ".join(sorted({row["protocol"] for row in rows}))
    title = f"accuracy in percent [95 % interval], protocol {protocols}; MACs as in the paper; images/s in training"
    shown = [{column: text for column, text in row.items() if column not in _FILE_ONLY} for row in rows]
    show_table(shown, title)


def show_table(rows: list[Row], title: str) -> None:
    """Print rows on standard output."""
    width = None if Console().is_terminal else 140
    Console(width=width, markup=False, emoji=False).print(terminal_table(rows, title=title))
