import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from says import every, says

from facerec.commands.main import module_of


@pytest.fixture
def report(capsys):
    def reported(*arguments: object) -> tuple[int, str, str]:
        status = module_of("report").main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return reported


def epochs_of(run: Path) -> set[str]:
    """What the rows of a run say: of its last epoch, and of the best if that is another."""
    best, last = (json.loads((run / "results.json").read_text())[name]["epoch"] + 1 for name in ("best", "last"))
    return {f"last {last}"} | ({f"best {best}"} if best != last else set())


def test_every_run_has_its_rows_on_the_terminal_and_in_the_files(report, depthwise_run, tvconv_run, tmp_path):
    files = [f"csv={tmp_path / 'new' / 'table.csv'}", f"markdown={tmp_path / 'table.md'}"]
    status, shown, _ = report(depthwise_run, tvconv_run, *files)
    assert status == 0
    with (tmp_path / "new" / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = {"Depthwise": epochs_of(depthwise_run), "TVConv": epochs_of(tvconv_run)}
    assert {name: {row["epoch"] for row in rows if row["operator"] == name} for name in epochs} == epochs
    table, _, said = (tmp_path / "table.md").read_text().partition("\n\n")
    assert says(said, "all rows: head AMSoftmax", "synthetic shares", "0 images")
    assert len(table.splitlines()) == 2 + len(rows) and every(
        f"{float(row['synthetic']):.2f} [" in shown for row in rows
    )


def test_without_files_nothing_is_written(report, depthwise_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert report(depthwise_run)[0] == 0
    assert not list(tmp_path.iterdir())


def test_no_run_and_a_damaged_one_are_named(report, tmp_path):
    status, printed, said = report(tmp_path)
    assert (status, printed) == (1, "") and says(said, "no results.json", str(tmp_path), "finished runs")
    (tmp_path / "results.json").write_text(json.dumps({"best": {}}))
    status, printed, said = report(tmp_path)
    assert (status, printed) == (1, "") and says(said, f"{tmp_path}/results.json", "damaged", "run it again")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(report, depthwise_run, tmp_path):
    (tmp_path / f".partial.{os.getpid()}.table.csv").symlink_to("/dev/full")
    status, _, said = report(depthwise_run, f"csv={tmp_path / 'table.csv'}")
    assert status == 1 and says(said, f"{tmp_path}/table.csv", "No space left on device", "free")


def test_two_real_runs_are_compared_on_the_terminal_and_in_every_file(report, depthwise_run, tvconv_run, tmp_path):
    files = {form: tmp_path / f"table.{form}" for form in ("csv", "markdown", "latex", "json")}
    given = [f"{form}={path}" for form, path in files.items()]
    status, shown, said = report("compare", depthwise_run, tvconv_run, "allow=commit", *given)
    assert status == 0, said
    assert says(shown, "synthetic", "n/a", "cannot tell", "1 seed", "train more seeds")
    with files["csv"].open(newline="") as file:
        (row,) = csv.DictReader(file)
    (compared,) = json.loads(files["json"].read_text())["comparisons"]
    scores = [np.load(run / "last_scores.npz")["synthetic/correct"].mean() for run in (depthwise_run, tvconv_run)]
    assert compared["means"] == pytest.approx(scores)
    assert float(row["difference"]) == pytest.approx(100 * (scores[1] - scores[0]), abs=1e-5)
    assert compared["sentence"] in shown and says(files["latex"].read_text(), r"\toprule", "synthetic")
    status, _, said = report("forest", files["json"], f"out={tmp_path / 'forest.svg'}")
    assert status == 0 and says(said, "forest.svg") and "<svg" in (tmp_path / "forest.svg").read_text()


def test_a_comparison_of_one_group_is_refused(report, depthwise_run):
    status, printed, said = report("compare", depthwise_run)
    assert (status, printed) == (1, "") and says(said, "operator", "name runs that differ")
