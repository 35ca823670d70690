"""Comparisons within those runs of a sweep that differ in one setting only."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from facerec.errors import InputError
from facerec.runs.comparing import (
    AnyMetric,
    Compared,
    Refused,
    baseline_of,
    compare_groups,
    corrected_for_number,
    group_runs,
)
from facerec.runs.differences import Run, is_allowed, other_differences, read_runs, value_of
from facerec.runs.mean_accuracy import Checkpoint
from facerec.runs.metric import ACCURACY


class Comparisons(NamedTuple):
    """What was compared, with p values corrected for all comparisons, and sentences on what was not."""

    found: list[Compared]
    problems: list[str]
    differences: dict[str, list[str]]
    refused: list[Refused]


def compare_alike(
    folders: Sequence[Path],
    setting: str,
    allow: Collection[str] = (),
    baseline: str | None = None,
    checkpoint: Checkpoint = "last",
    metric: AnyMetric = ACCURACY,
) -> Comparisons:
    """Compare the groups of runs that differ in ``setting``, separately for each value of all other settings.

    A sweep over operators and widths is compared width by width. Runs without a counterpart are problems; so is a set
    that cannot be compared. ``differences`` are those that ``allow`` let pass; the other arguments are those of
    `baseline_of` and `compare_groups`.
    """
    found, refused = list[Compared](), list[Refused]()
    problems, differences = dict[str, None](), dict[str, list[str]]()
    sets, alone = _alike(folders, setting, allow)
    for alike in sets or [list(folders)]:
        try:
            groups = group_runs(alike, setting, allow)
            compared, without = compare_groups(groups, baseline_of(groups, baseline), checkpoint, metric)
            found, refused = [*found, *compared], [*refused, *without]
            counted = [run for group in groups for run in group.runs.values()]
            for key, values in other_differences(counted, setting).items():
                differences[key] = list(dict.fromkeys([*differences.get(key, []), *values]))
        except InputError as error:
            problems[str(error)] = None
    for folder in alone if sets else ():
        problems[f"{folder} is left out: every other run differs from it in more than {setting} and the seed"] = None
    return Comparisons(corrected_for_number(found), list(problems), differences, refused)


def _alike(folders: Sequence[Path], setting: str, allow: Collection[str]) -> tuple[list[list[Path]], list[Path]]:
    """Return the sets of runs that differ in nothing but ``setting`` and the seed, and differ in ``setting``; and the
    runs that are in no such set."""
    sets: dict[frozenset[tuple[str, str]], list[Run]] = {}
    for run in read_runs(folders):
        # Of two commits, the later run may count: `group_runs` decides.
        facts = run.facts(setting).items()
        # What is null in one run may be unwritten in another.
        facts = frozenset((k, v) for k, v in facts if v != "null" and not is_allowed(k, [*allow, "commit"]))
        sets.setdefault(facts, []).append(run)
    varied: list[list[Path]] = []
    alone: list[Path] = []
    for runs in sets.values():
        place = varied.append if len({value_of(run, setting) for run in runs}) > 1 else alone.extend
        place([run.folder for run in runs])
    return varied, alone
