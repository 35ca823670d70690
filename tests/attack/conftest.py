"""Each test here is a row of the table in docs/reliability.md, which `make attack` writes."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attack_row import IS_WHOLE, SEED, Row
from running import ROOT

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- written by make attack -->", "<!-- end -->"


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Iterator[Row]:
    """The row of this test. Its title is the first line of the test's documentation."""
    row = Row(request.function.__doc__.splitlines()[0].removesuffix("."))
    yield row
    if IS_WHOLE:
        row.commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip()
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
    head = ["| what | trials | how they ended | failures |", "|---|---|---|---|"]
    commits = ", ".join(sorted({row.commit for row in rows}))
    lines = ["", *head, *(row.line() for row in rows), "", f"Seed {SEED}, commit {commits}.", ""]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + "\n".join(lines) + END + rest.partition(END)[2])
