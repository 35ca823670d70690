"""One table as it is shown on the terminal, in Markdown, as CSV, as JSON and in LaTeX."""

import csv
import io
import json
import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.table import Table

from facerec.errors import InputError
from facerec.files import csv_cell, markdown_cell, replacing
from facerec.verification.intervals import Interval

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
    "module",
    "start",
    "metric",
    "unseen domain",
)


# Columns of long text, which a LaTeX table has on lines of their own.
_ABOVE = ("settings", "compared")


class Estimate(str):
    """The text of a rate or a difference, in percent with its 95 % interval; CSV and JSON have its parts as numbers.

    Args:
        rate: as a fraction.
        interval: None if it cannot be computed.
        sign: "+" for a difference.
        is_exact: False if the interval is only approximately that of the comparison.
        factor: what both are multiplied with: 1 for what is no fraction, such as pixels.
        spread: standard deviation over seeds, if it is to be shown.
    """

    value: float
    interval: Interval | None
    sign: str
    is_exact: bool
    spread: float | None

    def __new__(
        cls,
        rate: float,
        interval: Interval | None,
        sign: str = "",
        is_exact: bool = True,
        factor: float = 100,
        spread: float | None = None,
    ) -> "Estimate":
        bounds = None if interval is None else Interval(factor * interval.low, factor * interval.high)
        shown = "n/a" if bounds is None else f"{bounds.low:{sign}.2f}, {bounds.high:{sign}.2f}"
        deviation = "" if spread is None else f" ± {factor * spread:.2f}"
        self = super().__new__(cls, f"{factor * rate:{sign}.2f}{deviation} [{shown}]")
        self.value, self.interval, self.sign, self.is_exact = factor * rate, bounds, sign, is_exact
        self.spread = None if spread is None else factor * spread
        return self

    def parts(self) -> dict[str, float | None]:
        """Return value, low and high, in percent or their unit, and the deviation over seeds if it is shown."""
        low, high = self.interval or (None, None)
        rounded = {"value": self.value, "low": low, "high": high}
        rounded |= {} if self.spread is None else {"std": self.spread}
        return {key: None if part is None else round(part, 6) for key, part in rounded.items()}


def terminal_table(rows: list[Row], **options: Any) -> Table:
    """Return the rows as a table for the terminal, with ``options`` of `rich.table.Table`."""
    table = Table(**options)
    for column in columns_of(rows):
        table.add_column(column, justify="left" if column in LEFT else "right", overflow="fold")  # nothing is cut off
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
    """Return the rows as CSV; an `Estimate` has three columns of numbers: NAME, NAME low and NAME high."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    found = [_flat(record, _estimated(rows)) for record in records(rows)]
    columns = list(dict.fromkeys(column for row in found for column in row))
    writer.writerow(map(csv_cell, columns))
    writer.writerows([csv_cell("" if row.get(c) is None else row[c]) for c in columns] for row in found)
    return file.getvalue()


def records(rows: list[Row]) -> list[dict[str, Any]]:
    """Return the rows for `json.dump`: texts, numbers, and an `Estimate` as its parts; None for "n/a" and where a row
    lacks a column."""
    return [{column: _content(column, row.get(column)) for column in columns_of(rows)} for row in rows]


def _content(column: str, text: str | None) -> Any:
    if isinstance(text, Estimate):
        return text.parts()
    if text is None or column in LEFT:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return None if text in ("", "n/a") else text


def _estimated(rows: list[Row]) -> set[str]:
    return {column for row in rows for column, text in row.items() if isinstance(text, Estimate)}


def _flat(record: dict[str, Any], estimated: set[str]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for column, content in record.items():
        parts = content if isinstance(content, dict) else {}
        names = {"value": column, "low": f"{column} low", "high": f"{column} high"}
        names |= {"std": f"{column} std"} if "std" in parts else {}
        flat |= {name: parts.get(key) for key, name in names.items()} if column in estimated else {column: content}
    return flat


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


def latex_for_one_column(rows: list[Row]) -> str:
    """Return the rows as a tabular of the package booktabs that one column of a two-column paper has space for.

    The interval of an `Estimate` is below its value, long texts have lines of their own, and what all rows have in
    common is a comment.
    """
    columns = [column for column in columns_of(rows) if column not in _estimated(rows)]
    common = common_texts(rows, columns) if len(rows) > 1 else {}
    left_out = {*common, *_ABOVE}
    columns = [column for column in columns_of(rows) if column not in left_out]
    lines = [rf"% all rows: {_comment(common)}"] if common else []
    lines.append(r"{\footnotesize\setlength{\tabcolsep}{3pt}%")
    lines.append(rf"\begin{{tabular}}{{{''.join('l' if c in LEFT else 'r' for c in columns)}}}")
    lines += [r"\toprule", _latex_line(map(_latex_cell, columns)), r"\midrule"]
    for above, row in pairwise([{}, *rows]):
        changed = [column for column in _ABOVE if row.get(column, "") != above.get(column, "")]
        lines += [_latex_above(row.get(column, ""), len(columns)) for column in changed]
        lines += _latex_row([row.get(column, "") for column in columns])
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}"]) + "\n"


def common_texts(rows: list[Row], columns: Iterable[str]) -> Row:
    """Return those of the columns that have the same text in all rows."""
    texts = {column: {row.get(column, "") for row in rows} for column in columns}
    return {column: next(iter(found)) for column, found in texts.items() if len(found) == 1}


def _comment(common: Row) -> str:
    return "; ".join(f"{column} {' '.join(text.split())}" for column, text in common.items() if text)


def _latex_line(cells: Iterable[str]) -> str:
    return rf"{' & '.join(cells)} \\"


def _latex_above(text: str, number: int) -> str:
    if not text:
        return r"\addlinespace"
    cell = rf"\multicolumn{{{number}}}{{@{{}}p{{.95\linewidth}}@{{}}}}{{\raggedright\itshape {_latex_cell(text)}}}"
    return rf"{cell} \\"


def _latex_row(texts: list[str]) -> list[str]:
    """Return a line of values, and one of intervals if there are any."""
    values = [f"{text.value:{text.sign}.2f}" if isinstance(text, Estimate) else _latex_cell(text) for text in texts]
    bounds = [_latex_interval(text) for text in texts]
    return [_latex_line(values), *([_latex_line(bounds)] if any(bounds) else [])]


def _latex_interval(text: str) -> str:
    if not isinstance(text, Estimate) or text.interval is None:
        return ""
    low, high = (f"{bound:{text.sign}.2f}" for bound in text.interval)
    return rf"{{\scriptsize [{low}, {high}]}}"


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
    """Write the text of a table to ``path`` atomically."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def columns_of(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))
