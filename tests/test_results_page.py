"""Every table between marks in docs/results.md is what the report makes of the runs that are committed."""

import re
from pathlib import Path

import pytest

from facerec.runs.report import find_runs, table_rows
from facerec.runs.table_formats import markdown

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
TABLES = dict(re.findall(r"<!-- facerec report (docs/runs/\S+) -->\n(.*?)<!-- end -->", PAGE, re.DOTALL))


@pytest.mark.parametrize("folder", sorted(TABLES))
def test_a_table_is_that_of_its_runs(folder):
    assert TABLES[folder].strip() == markdown(table_rows(find_runs([ROOT / folder]))).strip()


def test_every_folder_of_committed_runs_has_its_table():
    assert sorted(TABLES) == sorted(f"docs/runs/{path.name}" for path in (ROOT / "docs" / "runs").iterdir())


def test_no_committed_run_names_a_path_of_a_machine():
    for file in (ROOT / "docs" / "runs").rglob("*.json"):
        assert not re.search(r'[" =](/[a-z]+)+/', file.read_text(encoding="utf-8")), file
