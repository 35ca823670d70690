"""One table as it is shown on the terminal, in Markdown, as CSV and in LaTeX."""

import csv
import io
import re
from pathlib import Path
from typing import Any

from rich.table import Table

from facerec.errors import InputError
from facerec.files import csv_cell, markdown_cell, replacing

Row = dict[str, str]
_END = "<!-- end -->"
# Columns of text, aligned on the left; "" is the name of a row.
LEFT = (
    "",
    "backbone",
    "operator",
    "settings",
    "head",
    "epoch",
    "protocol",
    "data",
    "commit",
    "benchmark",
    "chosen on",
    "compared",
    "says",
)


def terminal_table(rows: list[Row], **options: Any) -> Table:
    """Return the rows as a table for the terminal, with ``options`` of `rich.table.Table`."""
    table = Table(**options)
    for column in columns_of(rows):
        table.add_column(column, justify="left" if column in LEFT else "right")
    for row in rows:
        table.add_row(*(row.get(column, "") for column in columns_of(rows)))
    return table


def markdown(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    columns = columns_of(rows)
    rule = ["---" if column in LEFT else "---:" for column in columns]
    lines = [columns, rule, *([row.get(c, "") for c in columns] for row in rows)]
    return "".join(f"| {' | '.join(map(markdown_cell, line))} |\n" for line in lines)


def comma_separated(rows: list[Row]) -> str:
    """Return the rows as CSV."""
    file = io.StringIO()
    columns = columns_of(rows)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(csv_cell, columns))
    writer.writerows([csv_cell(row.get(column, "")) for column in columns] for row in rows)
    return file.getvalue()


def latex(rows: list[Row]) -> str:
    """Return the rows as a LaTeX tabular of the package booktabs."""
    columns = columns_of(rows)
    kinds = "".join("l" if column in LEFT else "r" for column in columns)
    lines = [columns, *([row.get(column, "") for column in columns] for row in rows)]
    header, *body = [" & ".join(map(_latex_cell, line)) + r" \\" for line in lines]
    parts = [
        rf"\begin{{tabular}}{{{kinds}}}",
        r"\toprule",
        header,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(parts) + "\n"


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "\n": " "}


def _latex_cell(text: str) -> str:
    return re.sub(r"[\\~^±\n#$%&_{}]", lambda found: _LATEX.get(found[0], rf"\{found[0]}"), text)


def write_markdown(text: str, path: Path, command: str) -> None:
    """Write ``text`` to ``path``, between the lines ``<!-- COMMAND -->`` and ``<!-- end -->`` of a page that has such
    places, else as the whole file. Raises `InputError` if the page has places, but none for this command."""
    page = path.read_text(encoding="utf-8") if path.is_file() else ""
    mark = f"<!-- {command} -->"
    before, begins, rest = page.partition(mark)
    _, ends, after = rest.partition(_END)
    if not begins and "<!-- facerec report" in page:
        raise InputError(f"{path} has no place for this table: put the lines {mark} and {_END} into it")
    write_table(f"{before}{mark}\n\n{text}\n{_END}{after}" if ends else text, path)


def write_table(text: str, path: Path) -> None:
    """Write a table of `markdown` or `comma_separated` to ``path`` atomically."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def columns_of(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))
