"""The table over runs, made from their results.json and from nothing else."""

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
from facerec.runs import RESULTS

Row = dict[str, str]


def find_runs(folders: Iterable[str | Path]) -> list[Path]:
    """The folders of finished runs at or below ``folders``; `InputError` when there is none."""
    folders = [Path(folder) for folder in folders]
    runs = sorted({file.parent for folder in folders for file in folder.rglob(RESULTS)})
    if not runs:
        raise InputError(f"no {RESULTS} below {', '.join(map(str, folders))}: name a folder of finished runs")
    return runs


def table_rows(runs: Iterable[Path]) -> list[Row]:
    """A row for each set of runs that differ in nothing but the seed, best and last epoch in rows of their own.

    Accuracies are in percent: over several seeds mean ± standard deviation of the seeds (ddof 1), of one seed mean ±
    standard deviation of its folds.
    """
    cells: dict[tuple, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        result = json.loads((run / RESULTS).read_text(encoding="utf-8"))
        cells[_cell(result)].append(result)
    return [_row(results, checkpoint) for results in cells.values() for checkpoint in ("best", "last")]


def _cell(result: dict[str, Any]) -> tuple:
    settings = json.loads(json.dumps(result["config"]))
    for node in (settings, settings["data"]):
        node.pop("seed", None)
    for key in ("resume", "name", "skip_finished"):
        settings.pop(key, None)
    return json.dumps(settings, sort_keys=True), json.dumps(result["data"], sort_keys=True), result["protocol"]


def _row(results: list[dict[str, Any]], checkpoint: str) -> Row:
    first = results[0]
    config, cost = first["config"], first["cost"]
    names = [config[node]["_target_"].rpartition(".")[2] for node in ("backbone", "operator", "head")]
    speeds = [r["training_images_per_second"] for r in results if r["training_images_per_second"] is not None]
    return {
        "backbone": f"{names[0]} x{config['width']}",
        "operator": names[1],
        "head": names[2],
        "epoch": f"{checkpoint} ({', '.join(str(r[checkpoint]['epoch'] + 1) for r in results)})",
        **{name: _accuracy([r[checkpoint]["benchmarks"][name] for r in results]) for name in _benchmarks(first)},
        "MACs (M)": f"{cost['macs_paper'] / 1e6:.2f}",
        "params (M)": f"{cost['params'] / 1e6:.3f}",
        "deployed (M)": f"{cost['params_deployed'] / 1e6:.3f}",
        "maps (M)": f"{cost['weight_map_elements'] / 1e6:.3f}",
        "images/s": f"{mean(speeds):.0f}" if speeds else "",
        "seeds": str(len(results)),
        "protocol": first["protocol"],
        "commit": ", ".join(sorted({(r["git_commit"] or "none")[:7] for r in results})),
    }


def _benchmarks(result: dict[str, Any]) -> list[str]:
    return list(result["best"]["benchmarks"])


def _accuracy(summaries: list[dict[str, Any]]) -> str:
    values = [100 * summary["accuracy"] for summary in summaries]
    spread = stdev(values) if len(values) > 1 else 100 * summaries[0]["std"]
    return f"{mean(values):.2f} ± {spread:.2f}"


def markdown(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    columns = _columns(rows)
    lines = [columns, ["---"] * len(columns), *([row.get(c, "") for c in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def comma_separated(rows: list[Row]) -> str:
    """The rows as CSV."""
    file = io.StringIO()
    writer = csv.DictWriter(file, _columns(rows), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _columns(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def print_runs(runs: Iterable[Path]) -> None:
    """Show the table on the terminal."""
    rows = table_rows(runs)
    table = Table(title="accuracy in percent; training images/s; MACs by the paper's convention")
    for column in _columns(rows):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(row.get(column, "") for column in table_columns(table)))
    Console().print(table)


def table_columns(table: Table) -> list[str]:
    return [str(column.header) for column in table.columns]
