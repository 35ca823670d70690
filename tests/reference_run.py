"""What a run leaves, as plain values that another version of the code is held against."""

import csv
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FILE = Path(__file__).parent / "reference" / "runs.json"
# The gradients of a network that has just begun have norms of 5,000: at a usual rate it is after two steps wherever
# the processor's rounding takes it. This rate keeps it where it began, and its momentum is the sum of its gradients.
STEADY = "optimizer.lr=1e-12"
# Of the machine, the moment or the commit, and not of the run.
_NOT_OF_THE_RUN = ("started", "command", "config_fingerprint", "git_commit", "git_dirty", "environment")
_SPEED = ("training_images_per_second", "images_per_second")
# Embeddings of a network that learned nothing lie so close together that rounding decides these.
_OF_ROUNDING = ("best", "last", "accuracy")
_LEFT_OUT = (*_NOT_OF_THE_RUN, *_SPEED, *_OF_ROUNDING)


def facts(run: Path) -> dict[str, Any]:
    """The results, the logged numbers, and of each weight and momentum the shape, the sum and the absolute sum."""
    results = json.loads((run / "results.json").read_text())
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    momenta = [state["momentum_buffer"] for state in checkpoint["optimizer_states"][0]["state"].values()]
    return {
        "results": {key: value for key, value in results.items() if key not in _LEFT_OUT},
        "keys": sorted(results),
        "files": sorted(path.name for path in run.iterdir() if not path.name.startswith("events.")),
        "metrics": [_of_the_run(row) for row in csv.DictReader((run / "metrics.csv").read_text().splitlines())],
        "weights": {name: _in_short(value) for name, value in checkpoint["state_dict"].items()},
        "momenta": [_in_short(value) for value in momenta],
    }


def _of_the_run(row: dict[str, str]) -> dict[str, float]:
    numbers = {key: value for key, value in row.items() if value and key not in _SPEED}
    return {key: float(value) for key, value in numbers.items() if not key.endswith(_OF_ROUNDING)}


def _in_short(value: Tensor) -> list[Any]:
    return [list(value.shape), value.double().sum().item(), value.double().abs().sum().item()]
