"""The results file of a run, ``results.json``."""

import json
import sys
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

from facerec.errors import InputError
from facerec.files import BEST, LAST, RESULTS, refuse_no_regular_file, write_json
from facerec.training.older_settings import UNWRITTEN
from facerec.training.stored_nodes import class_name


def learner_of(config: dict[str, Any]) -> str:
    """Return the class of the learner of a run, by which its results are read; `InputError` if it is unknown."""
    name = str(class_name(config.get("learner", UNWRITTEN["learner"])))
    if name not in _SUMMARIES:
        known = ", ".join(_SUMMARIES)
        raise InputError(f"results of the learner {name} have no known form: the forms are of {known}")
    return name


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """The results of a run, with what is needed to reproduce it.

    Attributes:
        started: local time in ISO 8601.
        command: as typed.
        config_fingerprint: digest of ``config``.
        teacher: whose embeddings were learned, and what it took; None without distillation.
        git_commit: of the code; None outside a checkout.
        git_dirty: whether the code differed from the commit.
        environment: versions, platform, device, threads.
        protocol: name of the verification protocol.
        config: the resolved settings that determine the result.
        data: fingerprints of the training set and of each benchmark.
        cost: parameters and multiply-adds.
        training_images_per_second: None where nothing was trained in this session.
        best_chosen_on: benchmarks on whose mean accuracy the best epoch was chosen.
        best: checkpoint, epoch (from 0) and, per benchmark, the summary of its verification.
        last: the same of the last epoch.
        init: with ``init=FILE``, the file, its digest, and what was taken from it.
    """

    started: str
    command: str
    config_fingerprint: str
    teacher: dict[str, Any] | None = None
    git_commit: str | None
    git_dirty: bool
    environment: dict[str, Any]
    protocol: str
    config: dict[str, Any]
    data: dict[str, Any]
    cost: dict[str, Any]
    training_images_per_second: float | None
    best_chosen_on: list[str]
    best: dict[str, Any]
    last: dict[str, Any]
    init: dict[str, Any] | None = None

    def write(self, folder: Path) -> None:
        """Write the file in ``folder`` whole or not at all."""
        write_json(folder / RESULTS, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "RunResults":
        """Read the results of the run in ``folder``; fields that an older version did not write are None.

        Raises `InputError` if the file is damaged, or lacks what a table of runs needs.
        """
        refuse_no_regular_file(folder / RESULTS)
        try:
            content = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
            _check(content)
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(
                f"{folder / RESULTS} is damaged or of another version ({error}): remove this file and run it again "
                "with resume=auto, which only verifies the checkpoints of a run that was trained"
            ) from error
        values: dict[str, Any] = {field.name: content.get(field.name) for field in fields(cls)}
        return cls(**values)

    def best_checkpoint(self, folder: Path) -> Path:
        """Return the file of the best epoch in the run's ``folder``: ``last.ckpt`` where no epoch was chosen."""
        return folder / (LAST if self.best.get("checkpoint") == LAST else BEST)

    def objective(self) -> float:
        """Return the mean accuracy, or Dice, of the last epoch, which sweepers may maximise, on held-out identities or
        images if there are any, else over the benchmarks."""
        benchmarks, (measure, _) = self.last["benchmarks"], _SUMMARIES[learner_of(self.config)]
        return mean(benchmarks[name][measure] for name in self.best_chosen_on or benchmarks)


_NUMBER = (int, float)
# By the class of the learner, the number of a summary that sweepers maximise, and all numbers that each summary has.
_SUMMARIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "Recognizer": ("accuracy", ("accuracy", "std", "auc")),
    "Segmenter": ("mean_dice", ("mean_dice", "images")),
}
_NEEDED: dict[str, type | tuple[type, ...]] = {
    **{"started": str, "protocol": str, "data.train.fingerprint": (str, *_NUMBER)},
    **{"config.seed": int, "config.data": dict},
    **dict.fromkeys(("config.backbone", "config.operator", "config.head"), dict),
    **{f"cost.{key}": _NUMBER for key in ("macs_paper", "params", "params_deployed", "weight_map_elements")},
    **{"best.epoch": int, "best.benchmarks": dict, "last.epoch": int, "last.benchmarks": dict},
}
_DEEPEST = 40
# What runs may lack, with what it is otherwise.
_OPTIONAL = {"git_commit": str, "training_images_per_second": _NUMBER, "best_chosen_on": list}


def _check(content: Any) -> None:
    """Raise `ValueError` that names the first part which is missing or of another kind."""
    for key, kind in _NEEDED.items():
        _check_part(content, key.split("."), kind)
    for key, kind in _OPTIONAL.items():
        if content.get(key) is not None:
            _check_part(content, [key], kind)
    _check_nodes(content["config"], "config")
    backbone, (_, numbers) = content["config"]["backbone"], _SUMMARIES[learner_of(content["config"])]
    if "name" not in backbone and "encoder" not in backbone:
        _check_part(content, ["config", "backbone", "width"], _NUMBER)
    for epoch, name in product(("best", "last"), _benchmarks(content)):
        for value in numbers:
            _check_part(content, [epoch, "benchmarks", name, value], _NUMBER)
            if content[epoch]["benchmarks"][name].get("accuracy_error") is not None:
                for part in ("accuracy_error", "num_people"):
                    _check_part(content, [epoch, "benchmarks", name, part], _NUMBER)


def _check_nodes(node: Any, place: str, depth: int = 0) -> None:
    """Raise `ValueError` for a key without a name, or a class whose name is no text, at any depth of ``node``, and for
    more depth than a configuration has: what reads it goes down node by node."""
    if depth > _DEEPEST:
        top = ".".join(place.split(".")[:3])[:100]
        raise ValueError(f"it contains no results, since {top} is nested more than {_DEEPEST} times")
    if isinstance(node, dict) and ("" in node or not isinstance(node.get("_target_", ""), str)):
        raise ValueError(f"it contains no results, since {place} is {node!r}"[:200])
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        _check_nodes(value, f"{place}.{key}", depth + 1)


def _benchmarks(content: Any) -> list[str]:
    """Return every benchmark that is named; raise `ValueError` if there is none, or if a name is no text."""
    named = [*content["best"]["benchmarks"], *content["last"]["benchmarks"], *(content.get("best_chosen_on") or ())]
    if not named or not all(isinstance(name, str) for name in named):
        raise ValueError(f"it contains no results, since its benchmarks are {named!r}"[:200])
    return named


def _check_part(content: Any, path: list[str], kind: type | tuple[type, ...]) -> None:
    value = content
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    if not isinstance(value, kind) or (isinstance(value, _NUMBER) and not abs(value) <= sys.float_info.max):
        raise ValueError(f"it contains no results, since {'.'.join(path)} is {value!r}"[:200])
