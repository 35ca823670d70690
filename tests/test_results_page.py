"""What is between marks on the pages of results is what the report makes of the runs that are committed."""

import json
import re
import shlex
from pathlib import Path

import pytest

from facerec.commands.report_runs import TableSettings, main, report

ROOT = Path(__file__).parents[1]
NAMES = ("results.md", "segmentation.md", "single_runs.md")
PAGES = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in NAMES]
PAGE = PAGES[0]
COMPARISONS = sorted((ROOT / "docs" / "comparisons").glob("*.json"))
TABLES = {
    folder: (page, table)
    for page in PAGES
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


@pytest.mark.parametrize("command", re.findall(r"<!-- facerec report (compare docs/runs/.*) -->", "".join(PAGES)))
def test_the_comparison_writes_what_is_on_the_page(command, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (text,) = (text for text in PAGES if command in text)
    before, _, rest = text.partition(place := f"<!-- facerec report {command} -->")
    page = tmp_path / "results.md"
    page.write_text(f"{before}{place}\n<!-- end -->{rest.partition('<!-- end -->')[2]}", encoding="utf-8")
    assert main([*command.split(), f"markdown={page}"]) == 0
    assert page.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("file", COMPARISONS, ids=lambda file: file.stem)
def test_a_kept_comparison_is_what_its_command_finds(file, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    kept = json.loads(file.read_text(encoding="utf-8"))
    _, _, *words = shlex.split(kept["command"])
    assert main([*words, f"json={tmp_path / file.name}"]) == 0
    assert json.loads((tmp_path / file.name).read_text(encoding="utf-8")) == kept
    assert f"json=$C/{file.name}" in PAGE.replace("\\\n", " ")


def test_the_figures_show_all_kept_comparisons():
    drawn = re.findall(r"^facerec report forest (.*?) out=\$C/(\w+.png)$", PAGE.replace("\\\n", " "), re.MULTILINE)
    assert {name for _, name in drawn} == {path.name for path in (ROOT / "docs" / "comparisons").glob("*.png")}
    assert all(f"](comparisons/{name})" in PAGE for _, name in drawn)
    patterns = [pattern.removeprefix("$C/") for files, _ in drawn for pattern in files.split()]
    found = [file for pattern in patterns for file in COMPARISONS if file.match(pattern)]
    assert sorted(found) == COMPARISONS and COMPARISONS


def test_the_table_of_hypotheses_has_what_the_kept_comparisons_found():
    rows = re.findall(r"^\| ((?:\*\*)?)\[(.*?)\]\(comparisons/(.*?)\.json\)\1 \| .*? \| (.*)$", PAGE, re.MULTILINE)
    kept = {name: kept_differences(ROOT / "docs" / "comparisons" / f"{file}.json") for _, name, file, _ in rows}
    for bold, name, _, cells in rows:
        seeds, frontal, profile, values, family, _ = (cell.strip() for cell in cells.split("|"))
        names = family.split(", ") if family else [name]
        holds = []
        for benchmark, shown, value in zip(("cfp_ff", "cfp_fp"), (frontal, profile), values.split(", "), strict=True):
            found = kept[name][benchmark]
            low, high = (100 * end for end in found["interval"])
            assert shown == f"{signed(100 * found['difference'])} [{signed(low)}, {signed(high)}]", name
            assert int(seeds) == found["seeds"]
            p = adjusted([kept[each][benchmark]["p"] for each in names])[names.index(name)]
            assert float(value) == pytest.approx(p, rel=0.1, abs=6e-4), name
            holds.append(p < 0.05 and found["difference"] > 0)
        assert bool(bold) == all(holds), name
    assert {file for _, _, file, _ in rows} == {file.stem for file in COMPARISONS}


def kept_differences(file: Path) -> dict[str, dict]:
    return {each["benchmark"]: each["found"] for each in json.loads(file.read_text(encoding="utf-8"))["comparisons"]}


def signed(value: float) -> str:
    return f"{value:+.1f}".replace("-0.0", "+0.0")


def adjusted(ps: list[float]) -> list[float]:
    """Holm's: that of the k-th smallest of n is the largest, up to it, of (n - k + 1) p."""
    ordered = sorted(ps)
    steps = [min(1.0, (len(ps) - place) * p) for place, p in enumerate(ordered)]
    return [max(steps[: ordered.index(p) + 1]) for p in ps]


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
