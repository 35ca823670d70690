"""Tables of comparisons: for a terminal, and for a Markdown page, between two marks."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from facerec.errors import InputError
from facerec.files import markdown_cell, replacing
from facerec.perf.comparison import Comparison, Ratio, Spread

BEGIN, END = "<!-- measured by facerec benchmark, which writes over what it measures again -->", "<!-- end -->"
_HEADING = "\n### "


def show(comparisons: Sequence[Comparison], console: Console) -> None:
    """Print the tables of each section."""
    for section, tables in _sections(comparisons):
        for number, (header, *rows) in enumerate(tables):
            table = Table(*header, title=None if number else section, title_justify="left", show_lines=True)
            for row in rows:
                table.add_row(*map(Text, row))
            console.print(table)


def markdown(comparisons: Sequence[Comparison], machine: str, command: str) -> dict[str, str]:
    """Render the same tables in Markdown: by section, each below the command and the machine."""
    texts = {}
    for section, tables in _sections(comparisons):
        lines = [f"`{command}`, {machine}."]
        for header, *rows in tables:
            lines += ["", _line(header), "|---" * len(header) + "|", *map(_line, rows)]
        texts[section] = "\n".join(lines)
    return texts


def write_markdown(texts: dict[str, str], path: Path) -> None:
    """Write the sections ``texts`` between the marks of the page ``path``, which is created if it does not exist; other
    sections stay as they are there. Raises `InputError` like `around_tables`."""
    before, there, after = around_tables(path)
    kept = (part.partition("\n") for part in f"\n{there}".split(_HEADING)[1:])
    sections = {name: text.strip() for name, _, text in kept} | texts
    tables = "\n\n".join(f"{_HEADING.lstrip()}{name}\n\n{text}" for name, text in sections.items())
    with replacing(path) as partial:
        partial.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")


def around_tables(path: Path) -> tuple[str, str, str]:
    """Return the text before the tables of the page ``path``, they, and what follows; raise `InputError` if it lacks
    their marks."""
    page = path.read_text(encoding="utf-8") if path.is_file() else f"{BEGIN}\n{END}\n"
    before, begins, rest = page.partition(BEGIN)
    there, ends, after = rest.partition(END)
    if not begins or not ends:
        raise InputError(f"{path} has no place for the tables: put the lines {BEGIN} and {END} into it")
    return before, there, after


def sentence(ratio: Ratio) -> str:
    """Describe a ratio, such as "a / b: 2.1x (2.0 to 2.2), target at least 2x: met"."""
    text = f"{ratio.name}: {number(ratio.spread.median)}x{_quartiles(ratio.spread)}"
    if ratio.target is None or ratio.met is None:
        return text
    bound = "at most" if ratio.at_most else "at least"
    return f"{text}, target {bound} {ratio.target:g}x: {'met' if ratio.met else 'NOT met'}"


def number(value: float) -> str:
    """Format with three significant digits, or all digits of the integer part if it has more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


_Table = list[list[str]]  # the header, then one row per comparison


def _sections(comparisons: Sequence[Comparison]) -> Iterator[tuple[str, list[_Table]]]:
    """Yield each section's name with its tables: comparisons that share a contender are in one."""
    for section, group in groupby(comparisons, key=lambda comparison: comparison.section):
        tables: list[list[Comparison]] = []
        for comparison in group:
            if tables and any(comparison.contenders.keys() & other.contenders for other in tables[-1]):
                tables[-1].append(comparison)
            else:
                tables.append([comparison])
        yield section, [_table(members) for members in tables]


def _table(members: Sequence[Comparison]) -> _Table:
    names = list(dict.fromkeys(name for comparison in members for name in comparison.contenders))
    return [["", *names, "ratios"], *(_row(comparison, names) for comparison in members)]


def _row(comparison: Comparison, names: list[str]) -> list[str]:
    case = f"{comparison.case} [{comparison.unit}]" + (f" ({comparison.note})" if comparison.note else "")
    spreads = [comparison.contenders.get(name) for name in names]
    cells = [f"{number(spread.median)}{_quartiles(spread)}" if spread else "" for spread in spreads]
    return [case, *cells, "\n".join(map(sentence, comparison.ratios))]


def _quartiles(spread: Spread) -> str:
    lower, upper = number(spread.lower), number(spread.upper)
    return "" if lower == upper else f" ({lower} to {upper})"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(map(markdown_cell, cells))} |"
