"""The table over runs: facerec report outputs/NAME ...

Every finished run at or below the folders counts; runs that differ in the seed alone share a row.
"""

from dataclasses import dataclass
from pathlib import Path

from facerec.config.settings import command, setting
from facerec.files import replacing
from facerec.runs.report import comma_separated, find_runs, markdown, show, table_rows


@dataclass
class Settings:
    """Settings:"""

    folders: tuple[Path, ...] = setting("of runs", word=True)
    csv: Path | None = setting("write the table here as CSV", None)
    markdown: Path | None = setting("write the table here as Markdown", None)


def report(settings: Settings) -> None:
    rows = table_rows(find_runs(list(settings.folders)))
    show(rows)
    for path, text in ((settings.csv, comma_separated(rows)), (settings.markdown, markdown(rows))):
        if path is not None:
            with replacing(path) as partial:
                partial.write_text(text, encoding="utf-8")


main = command(Settings, report)
