"""Tables that compare runs by their results.json, on the terminal, in Markdown and as CSV."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

from facerec.errors import InputError
from facerec.files import RESULTS, csv_cell, markdown_cell, replacing
from facerec.runs.run_names import differing_settings, network_parts
from facerec.runs.run_results import RunResults

Row = dict[str, str]
# Columns of text, aligned on the left; "" is the name of a row.
_LEFT = ("", "backbone", "operator", "settings", "head", "epoch", "protocol", "data", "commit", "benchmark")
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
    """Return two rows, of the best and the last epoch, per set of runs that differ only in the seed.

    Accuracies are mean ± standard deviation in percent, over the seeds (ddof 1) or, of a single seed, over the folds.
    Among repeated runs with the same seed, the one that started last counts.
    """
    cells: dict[str, dict[int, RunResults]] = defaultdict(dict)
    for result in map(RunResults.read, runs):
        seeds, seed = cells[_all_but_seed(result)], result.config["seed"]
        seeds[seed] = max(seeds.get(seed, result), result, key=lambda run: run.started)
    differences = differing_settings([next(iter(results.values())).config for results in cells.values()])
    return [
        _row(list(results.values()), checkpoint, settings)
        for results, settings in zip(cells.values(), differences, strict=True)
        for checkpoint in ("best", "last")
    ]


def _all_but_seed(result: RunResults) -> str:
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
    values = [100 * summary["accuracy"] for summary in summaries]
    spread = stdev(values) if len(values) > 1 else 100 * summaries[0]["std"]
    return f"{mean(values):.2f} ± {spread:.2f}"


def show(rows: list[Row]) -> None:
    """Print the rows on the terminal."""
    protocols = ", ".join(sorted({row["protocol"] for row in rows}))
    title = f"accuracy in percent ± std, protocol {protocols}; MACs as in the paper; images/s in training"
    shown = [{column: text for column, text in row.items() if column not in _FILE_ONLY} for row in rows]
    width = None if Console().is_terminal else 140
    Console(width=width, markup=False, emoji=False).print(terminal_table(shown, title=title))


def terminal_table(rows: list[Row], **options: Any) -> Table:
    """Return the rows as a table for the terminal, with ``options`` of `rich.table.Table`."""
    table = Table(**options)
    for column in _columns(rows):
        table.add_column(column, justify="left" if column in _LEFT else "right")
    for row in rows:
        table.add_row(*(row.get(column, "") for column in _columns(rows)))
    return table


def markdown(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    columns = _columns(rows)
    rule = ["---" if column in _LEFT else "---:" for column in columns]
    lines = [columns, rule, *([row.get(c, "") for c in columns] for row in rows)]
    return "".join(f"| {' | '.join(map(markdown_cell, line))} |\n" for line in lines)


def comma_separated(rows: list[Row]) -> str:
    """Return the rows as CSV."""
    file = io.StringIO()
    columns = _columns(rows)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(csv_cell, columns))
    writer.writerows([csv_cell(row.get(column, "")) for column in columns] for row in rows)
    return file.getvalue()


def write_table(text: str, path: Path) -> None:
    """Write a table of `markdown` or `comma_separated` to ``path`` atomically."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _columns(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))
