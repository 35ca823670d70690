"""What is between marks on the pages of results is what the report makes of the runs that are committed."""

import json
import re
from pathlib import Path

import pytest

from facerec.commands.report_runs import TableSettings, main, report

ROOT = Path(__file__).parents[1]
PAGE, EYES = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("results.md", "segmentation.md"))
TABLES = {
    folder: (page, table)
    for page in (PAGE, EYES)
    for folder, table in re.findall(r"<!-- facerec report (docs/runs/\S+) -->\n(.*?)<!-- end -->", page, re.DOTALL)
}


@pytest.mark.parametrize("folder", sorted(TABLES))
def test_the_report_writes_what_is_on_the_page(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    text, table = TABLES[folder]
    page = tmp_path / "results.md"
    page.write_text(text.replace(table, "\n"), encoding="utf-8")
    report(TableSettings(folders=(Path(folder),), markdown=page))
    assert page.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("command", re.findall(r"<!-- facerec report (compare docs/runs/.*) -->", PAGE + EYES))
def test_the_comparison_writes_what_is_on_the_page(command, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (text,) = (text for text in (PAGE, EYES) if command in text)
    before, _, rest = text.partition(place := f"<!-- facerec report {command} -->")
    page = tmp_path / "results.md"
    page.write_text(f"{before}{place}\n<!-- end -->{rest.partition('<!-- end -->')[2]}", encoding="utf-8")
    assert main([*command.split(), f"markdown={page}"]) == 0
    assert page.read_text(encoding="utf-8") == text


def test_the_page_says_what_the_comparison_found():
    found = json.loads((ROOT / "docs/runs/four_epochs/compare.json").read_text(encoding="utf-8"))
    sentences = [comparison["sentence"] for comparison in found["comparisons"]]
    _, _, table = PAGE.partition("<!-- facerec report compare outputs/four_epochs -->")
    said = re.findall(r"^- (.*)$", table.partition("<!-- end -->")[0], re.MULTILINE)
    assert len(sentences) == 2 and said == sentences


def test_every_folder_of_committed_runs_has_its_table():
    assert sorted(TABLES) == sorted(f"docs/runs/{path.name}" for path in (ROOT / "docs" / "runs").iterdir())


def test_no_committed_run_names_a_path_of_a_machine():
    for file in (ROOT / "docs" / "runs").rglob("*.json"):
        assert not re.search(r'[" =](/[a-z]+)+/', file.read_text(encoding="utf-8")), file
