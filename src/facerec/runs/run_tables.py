"""The tables of finished runs, one for each task."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facerec.runs.differences import Run
from facerec.runs.report import (
    cells,
    notes,
    recognition_title,
    rows_for_paper,
    rows_of_networks,
    said_once,
    without_file_columns,
)
from facerec.runs.run_results import learner_of
from facerec.runs.segmentation_table import segmentation_notes, segmentation_rows
from facerec.runs.table_formats import Row
from facerec.runs.training_overlap import shared_sentences


@dataclass(frozen=True)
class RunTable:
    """A table of runs.

    Attributes:
        rows: with all columns, for programs.
        for_page: what a page shows.
        shown: what the terminal has space for.
        for_paper: what a paper has space for.
        title: above it on the terminal.
        said: sentences below it.
    """

    rows: list[Row]
    for_page: list[Row]
    shown: list[Row]
    for_paper: list[Row]
    title: str
    said: list[str]


def run_tables(runs: Iterable[Path]) -> list[RunTable]:
    """Return a table for each task of the finished runs in these folders."""
    by_learner: dict[str, list[list[Run]]] = {}
    for seeds in cells(runs):
        by_learner.setdefault(learner_of(seeds[0].results.config), []).append(seeds)
    return [_TABLES[learner](found) for learner, found in by_learner.items()]


def _recognition(found: Sequence[list[Run]]) -> RunTable:
    networks = rows_of_networks(found)
    rows = [row for of_network in networks for row in of_network]
    for_paper = rows_for_paper([reported for reported, *_ in networks])
    kept, once = said_once(rows)
    said = [*shared_sentences(run.folder for seeds in found for run in seeds), *notes(rows)]
    said = [once, *said] if once else said
    return RunTable(rows, kept, without_file_columns(kept), for_paper, recognition_title(rows), said)


def _segmentation(found: Sequence[list[Run]]) -> RunTable:
    rows = segmentation_rows(found)
    reported = [row for row in rows if row["epoch"] == rows[0]["epoch"]]
    for_paper = [{column: text for column, text in row.items() if column != "epoch"} for row in reported]
    title = "optic disc and cup on domains that were not trained on: mean ± deviation over seeds [95 % interval]"
    return RunTable(rows, rows, rows, for_paper, title, segmentation_notes(found))


_TABLES: dict[str, Callable[[Sequence[list[Run]]], RunTable]] = {
    "Recognizer": _recognition,
    "Segmenter": _segmentation,
}
