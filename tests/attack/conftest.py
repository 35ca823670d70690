"""Each test here is a row of the table in docs/reliability.md, which `make attack` writes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attack_row import IS_WHOLE, Row
from running import ROOT

from facerec.runs.provenance import code_and_environment

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- written by make attack -->", "<!-- end -->"
HEAD = "| what | trials | how they ended | failures | seed | commit |\n|---|---|---|---|---|---|"


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Iterator[Row]:
    """The row of this test. Its title is the first line of the test's documentation."""
    row = Row(request.function.__doc__.splitlines()[0].removesuffix("."))
    yield row
    if IS_WHOLE:
        code = code_and_environment()
        row.commit = str(code["git_commit"])[:7] + ("+" if code["git_dirty"] else "")
        place = f"{request.path.stem}.{request.function.__code__.co_firstlineno:04}"
        row.write(_folder() / f"{place}.json")
    row.refuse_failures()


@pytest.fixture
def examples(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    from file_readers import Examples  # slow to import

    return Examples(tmp_path, lambda: request.getfixturevalue("depthwise_run"))


def _folder() -> Path:
    folder = Path(os.environ["ATTACK_ROWS"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not IS_WHOLE or hasattr(session.config, "workerinput"):
        return
    rows = [Row.read(path) for path in sorted(_folder().glob("*.json"))]
    PAGE.write_text(with_rows(PAGE.read_text(), {row.title: row.line() for row in rows}))


def with_rows(page: str, lines: dict[str, str]) -> str:
    """Put ``lines`` into the table of ``page``, each in place of the one with its title; others stay as they are."""
    before, _, rest = page.partition(BEGIN)
    table, _, after = rest.partition(END)
    there = [line for line in table.splitlines() if line.startswith("| ")]
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in there[1:]} | lines
    return "\n".join([f"{before}{BEGIN}", HEAD, *rows.values(), f"{END}{after}"])
