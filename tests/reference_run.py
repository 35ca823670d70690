"""What a run leaves, as plain values that another version of the code is held against."""

import csv
import json
from pathlib import Path
from typing import Any

import torch

FILE = Path(__file__).parent / "reference" / "runs.json"
# Of the machine, the moment or the commit, and not of the run.
_NOT_OF_THE_RUN = ("started", "command", "config_fingerprint", "git_commit", "git_dirty", "environment")
_SPEED = ("training_images_per_second", "images_per_second")


def facts(run: Path) -> dict[str, Any]:
    """The results, the logged numbers, and of each weight the shape, the sum and the sum of absolute values."""
    results = json.loads((run / "results.json").read_text())
    weights = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    return {
        "results": {key: value for key, value in results.items() if key not in (*_NOT_OF_THE_RUN, *_SPEED)},
        "keys": sorted(results),
        "files": sorted(path.name for path in run.iterdir() if not path.name.startswith("events.")),
        "metrics": [_without_speed(row) for row in csv.DictReader((run / "metrics.csv").read_text().splitlines())],
        "weights": {
            name: [list(value.shape), value.double().sum().item(), value.double().abs().sum().item()]
            for name, value in weights.items()
        },
    }


def _without_speed(row: dict[str, str]) -> dict[str, float]:
    return {key: float(value) for key, value in row.items() if value and key not in _SPEED}
