"""Tabulate finished runs: facerec report outputs/NAME ...

Includes every finished run in the folders, at any depth; runs that differ only in the seed share a row.
"""

from dataclasses import dataclass
from pathlib import Path

from facerec.config.settings import command, setting
from facerec.runs.report import comma_separated, find_runs, markdown, show, table_rows, write_table


@dataclass
class Settings:
    """Settings:"""

    folders: tuple[Path, ...] = setting("that contain runs", word=True)
    csv: Path | None = setting("CSV file to write the table to", None, written=True)
    markdown: Path | None = setting("Markdown file to write the table to", None, written=True)


def report(settings: Settings) -> None:
    rows = table_rows(find_runs(list(settings.folders)))
    show(rows)
    for path, text in ((settings.csv, comma_separated(rows)), (settings.markdown, markdown(rows))):
        if path is not None:
            write_table(text, path)


main = command(Settings, report)
