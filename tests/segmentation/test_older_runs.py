"""Runs of older and newer versions stand in one table of the paper's form."""

import json
import shutil
from pathlib import Path

from facerec.runs.report import find_runs
from facerec.runs.run_tables import run_tables

ROOT = Path(__file__).parents[2]


def test_what_an_older_version_did_not_write_makes_no_network_of_its_own(tmp_path):
    """The committed runs of two domains, of which one is written as before two settings existed."""
    for domain in ("drishti_gs", "origa"):
        for seed in (1, 2, 3):
            name = f"{domain}_depthwise_{seed}"
            shutil.copytree(ROOT / "docs/runs/domains" / name, tmp_path / name)
    (before,) = run_tables(find_runs([tmp_path]))
    for file in tmp_path.glob("origa_*/results.json"):
        results = json.loads(file.read_text(encoding="utf-8"))
        assert {results["config"]["trainer"].pop(key) for key in ("recompute", "ema")} == {False, None}
        file.write_text(json.dumps(results), encoding="utf-8")
    (after,) = run_tables(find_runs([tmp_path]))
    assert after.rows == before.rows and len(before.rows[0]) == len(before.rows[-1])
