"""The rows of the report, whatever network they are of."""

from collections.abc import Iterable
from pathlib import Path

from facerec.runs.report import cells, rows_of_networks
from facerec.runs.table_formats import Row


def table_rows(runs: Iterable[Path]) -> list[Row]:
    return [row for rows in rows_of_networks(cells(runs)) for row in rows]
