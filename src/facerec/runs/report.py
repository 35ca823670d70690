"""The table of runs that recognise faces, from their results.json."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean

from rich.console import Console

from facerec.data.held_out import HELD_OUT
from facerec.errors import InputError
from facerec.files import RESULTS
from facerec.runs.differences import Run, read_runs
from facerec.runs.mean_accuracy import Checkpoint, mean_accuracy_interval
from facerec.runs.run_names import differing_settings, network_parts, with_origin
from facerec.runs.run_results import RunResults, learner_of
from facerec.runs.table_formats import Estimate, Row, common_texts, terminal_table
from facerec.training.older_settings import written

_WIDTH = 160  # characters of a table that is not printed on a terminal
# Columns that the terminal has no space for.
_FILE_ONLY = ("deployed (M)", "maps (M)", "protocol", "data", "commit")
# Columns that are said once if they have one text in all rows.
_ONCE = ("head", "epoch", "chosen on", "seeds", "protocol", "data", "commit")
# Columns that a paper's table has no space for.
_NOT_IN_PAPER = ("chosen on", "deployed (M)", "maps (M)", "images/s", "data", "commit")


def find_runs(folders: Iterable[str | Path], learner: str | None = None) -> list[Path]:
    """Return the folders of finished runs in ``folders``, at any depth.

    Raises `InputError` if there are none, or if one is of another ``learner`` than the one that is asked for.
    """
    folders = [Path(folder) for folder in folders]
    runs = sorted({file.parent for folder in folders for file in folder.rglob(RESULTS)})
    if not runs:
        raise InputError(f"no {RESULTS} in {', '.join(map(str, folders))}: name a folder of finished runs")
    for run in runs if learner is not None else ():
        if (theirs := learner_of(RunResults.read(run).config)) != learner:
            raise InputError(f"{run} is a run of a {theirs}, and this is for those of a {learner}: name others")
    return runs


def rows_of_networks(found: Sequence[list[Run]]) -> list[list[Row]]:
    """Return rows for each list of runs that differ in the seed only: of its best and of its last epoch; one if in each
    run these are the same.

    The first is of the last epoch, unless the best was chosen on held-out identities: an epoch that was chosen on the
    benchmarks on which it is reported looks better than it is. Accuracies are means over seeds in percent, with the
    95 % interval over seeds and pairs; with one seed, over pairs alone.
    """
    configs = [seeds[0].results.config for seeds in found]
    differences = [with_origin(*each) for each in zip(differing_settings(configs), configs, strict=True)]
    return [
        [_row(seeds, checkpoint, {"settings": settings} if any(differences) else {}) for checkpoint in _epochs(seeds)]
        for seeds, settings in zip(found, differences, strict=True)
    ]


def cells(runs: Iterable[Path]) -> list[list[Run]]:
    """Return the runs that differ in the seed only, one per seed: the one that started last."""
    found: dict[str, dict[int, Run]] = defaultdict(dict)
    for run in read_runs(runs):
        seeds, seed = found[all_but_seed(run.results)], run.results.config["seed"]
        seeds[seed] = max(seeds.get(seed, run), run, key=lambda run: run.results.started)
    return [list(seeds.values()) for seeds in found.values()]


def _epochs(runs: list[Run]) -> tuple[Checkpoint, ...]:
    results = [run.results for run in runs]
    epochs = ("best", "last") if results[0].best_chosen_on == [HELD_OUT] else ("last", "best")
    return epochs[: 1 if all(result.best["epoch"] == result.last["epoch"] for result in results) else 2]


def all_but_seed(result: RunResults) -> str:
    """Return a text that runs share which differ in the seed only."""
    settings = {key: value for key, value in result.config.items() if key != "seed"}
    settings["data"] = {key: value for key, value in settings["data"].items() if key != "seed"}
    return json.dumps([written(settings), result.data, result.protocol], sort_keys=True)


def _row(runs: list[Run], checkpoint: Checkpoint, settings: Row) -> Row:
    results = [run.results for run in runs]
    first = results[0]
    config, cost = first.config, first.cost
    backbone, operator, head = network_parts(config)
    speeds = [r.training_images_per_second for r in results if r.training_images_per_second is not None]
    summaries = [getattr(result, checkpoint) for result in results]
    return {
        "backbone": backbone,
        "operator": operator,
        **settings,
        "head": head,
        "epoch": f"{checkpoint} {','.join(sorted({str(summary['epoch'] + 1) for summary in summaries}, key=int))}",
        "chosen on": ", ".join(first.best_chosen_on or ["benchmarks"]) if checkpoint == "best" else "",
        **{name: _accuracy(runs, checkpoint, name) for name in first.best["benchmarks"]},
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


def _accuracy(runs: list[Run], checkpoint: Checkpoint, name: str) -> Estimate:
    values = [getattr(run.results, checkpoint)["benchmarks"][name]["accuracy"] for run in runs]
    bounds, is_exact = mean_accuracy_interval(runs, checkpoint, name)
    return Estimate(mean(values), bounds, is_exact=is_exact)


def rows_for_paper(rows: list[Row]) -> list[Row]:
    """Return the columns that a paper has space for."""
    return [{column: text for column, text in row.items() if column not in _NOT_IN_PAPER} for row in rows]


def said_once(rows: list[Row]) -> tuple[list[Row], str]:
    """Return the rows without those of the columns that say which runs they are of that have one text in all rows, and
    a sentence with these, "" if there are none."""
    once = common_texts(rows, _ONCE)
    said = ", ".join(f"{column} {text}" for column, text in once.items() if text)
    kept = [{column: text for column, text in row.items() if column not in once} for row in rows]
    return kept, f"all rows: {said}" if said else ""


def notes(rows: list[Row]) -> list[str]:
    """Return sentences on the intervals of the rows."""
    estimates = [text for row in rows for text in row.values() if isinstance(text, Estimate)]
    said = []
    if any(estimate.interval is None for estimate in estimates):
        said.append("[n/a]: written by an older version, which kept no errors; facerec evaluate gives the interval")
    if not all(estimate.is_exact for estimate in estimates):
        said.append(
            "without the files of scores, errors over pairs count as common to all seeds, so that intervals of means "
            "over seeds differ slightly from those of facerec report compare"
        )
    return said


def recognition_title(rows: list[Row]) -> str:
    """Return the title above the rows on the terminal."""
    protocols = ", ".join(sorted({row["protocol"] for row in rows}))
    return f"accuracy in percent [95 % interval], protocol {protocols}; MACs as in the paper; images/s in training"


def without_file_columns(rows: list[Row]) -> list[Row]:
    """Return the columns that the terminal has space for."""
    return [{column: text for column, text in row.items() if column not in _FILE_ONLY} for row in rows]


def show_table(rows: list[Row], title: str) -> None:
    """Print rows on standard output."""
    found = Console()
    width = found.width if found.is_terminal else max(found.width, _WIDTH)
    Console(width=width, markup=False, emoji=False).print(terminal_table(rows, title=title))
