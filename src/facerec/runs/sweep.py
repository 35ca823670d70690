"""The finished runs of a sweep with their names, and groups by the value of one setting."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from facerec.errors import InputError
from facerec.files import LAST_SCORES
from facerec.runs.differences import Run, read_runs, value_of
from facerec.runs.report import all_but_seed
from facerec.runs.run_names import run_names, settings_of
from facerec.runs.run_results import RunResults
from facerec.runs.scores import PairScores, load_scores


class SweepRun(NamedTuple):
    """A run of a sweep.

    ``name`` is distinct, ``cell`` that of all runs that differ in the seed only, and ``group`` says the value of the
    setting under test. ``scores`` are those of the last epoch, per benchmark; if there are none, ``problem`` says why.
    """

    folder: Path
    results: RunResults
    name: str
    cell: str
    group: str
    scores: dict[str, PairScores]
    problem: str | None


def read_sweep(folders: Sequence[Path], setting: str) -> list[SweepRun]:
    """Read the finished runs in ``folders``; of several that differ in nothing, the one that started last.

    Raises `InputError` if a run has no ``setting``, or if its results are damaged.
    """
    runs = _latest(read_runs(folders))
    groups = _group_names([value_of(run, setting) for run in runs], setting)
    names = run_names([run.results.config for run in runs])
    cells = _cell_names(runs)
    return [
        SweepRun(run.folder, run.results, name, cells[all_but_seed(run.results)], group, *_scores(run.folder))
        for run, name, group in zip(runs, names, groups, strict=True)
    ]


def cells_of(runs: Sequence[SweepRun]) -> dict[str, list[SweepRun]]:
    """Return the runs that differ in the seed only, by the names of their cells."""
    cells: dict[str, list[SweepRun]] = {}
    for run in runs:
        cells.setdefault(run.cell, []).append(run)
    return cells


def common_benchmarks(runs: Sequence[SweepRun]) -> list[str]:
    """Return the benchmarks on which all runs were verified."""
    verified = [run.results.best["benchmarks"] for run in runs]
    return [name for name in verified[0] if all(name in each for each in verified)]


def short_names(names: Sequence[str]) -> list[str]:
    """Return the names without the words that all of them share; as they are if too little is left."""
    shared = set.intersection(*(set(_words(name)) for name in names)) if names else set()
    short = [" ".join(word for word in _words(name) if word not in shared) for name in names]
    return short if all(short) and len(set(short)) == len(set(names)) else list(names)


def _words(name: str) -> list[str]:
    return name.replace(",", " ").split()


def _latest(runs: Sequence[Run]) -> list[Run]:
    latest: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: run.results.started):
        latest[f"{run.results.config['seed']} {all_but_seed(run.results)}"] = run
    return sorted(latest.values(), key=lambda run: run.folder)


def _cell_names(runs: Sequence[Run]) -> dict[str, str]:
    configs = {all_but_seed(run.results): run.results.config for run in runs}
    return dict(zip(configs, run_names(list(configs.values())), strict=True))


def _group_names(values: Sequence[str], setting: str) -> list[str]:
    """Return a short name per value: its class if it is a node, with what differs from others of this class."""
    distinct = [json.loads(value) for value in dict.fromkeys(values)]
    named = dict(zip(dict.fromkeys(values), (_group_name(value, distinct, setting) for value in distinct), strict=True))
    return [named[value] for value in values]


def _group_name(value: Any, others: Sequence[Any], setting: str) -> str:
    if not isinstance(value, dict):
        return f"{setting}={value if isinstance(value, str) else json.dumps(value)}"
    alike = [settings_of(o) for o in others if isinstance(o, dict) and o.get("_target_") == value.get("_target_")]
    own = [f"{k}={v}" for k, v in settings_of(value).items() if any(other.get(k) != v for other in alike)]
    return " ".join([str(value.get("_target_", f"{setting}=none")).rpartition(".")[2], *own])


def _scores(folder: Path) -> tuple[dict[str, PairScores], str | None]:
    if not (folder / LAST_SCORES).is_file():
        return {}, f"{LAST_SCORES} is missing, as for runs of an older version"
    try:
        found = load_scores(folder / LAST_SCORES)
        for name, kept in found.items():
            _refuse_unusable(folder / LAST_SCORES, name, kept)
        return found, None
    except InputError as error:
        return {}, str(error)


def _refuse_unusable(path: Path, name: str, kept: PairScores) -> None:
    """Raise `InputError` for scores of which no curve can be drawn."""
    if not np.isfinite(kept.scores).all() or len(np.unique(kept.is_same)) < 2:
        raise InputError(f"{path} has no finite scores of both kinds of pairs for {name}: evaluate the run again")
