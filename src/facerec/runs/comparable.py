"""Comparisons within those runs of a sweep that differ in one setting only."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from facerec.errors import InputError
from facerec.runs.comparing import Compared, Run, baseline_of, compare_groups, group_runs, is_allowed, value_of
from facerec.runs.run_results import RunResults
from facerec.verification.paired_comparison import holm


class Comparisons(NamedTuple):
    """What was compared, with p values corrected for all comparisons, and sentences on what was not."""

    found: list[Compared]
    problems: list[str]


def compare_alike(folders: Sequence[Path], setting: str, allow: Collection[str] = ()) -> Comparisons:
    """Compare the groups of runs that differ in ``setting``, separately for each value of all other settings.

    A sweep over operators and widths is compared width by width. The last epochs count.
    """
    found: list[Compared] = []
    problems: dict[str, None] = {}
    for alike in _alike(folders, setting, allow) or [list(folders)]:
        try:
            groups = group_runs(alike, setting, allow)
            found += compare_groups(groups, baseline_of(groups, None))
        except InputError as error:
            problems[str(error)] = None
    return Comparisons(_corrected(found), list(problems))


def _alike(folders: Sequence[Path], setting: str, allow: Collection[str]) -> list[list[Path]]:
    """Return the sets of runs that differ in nothing but ``setting`` and the seed, and differ in ``setting``."""
    sets: dict[frozenset[tuple[str, str]], list[Run]] = {}
    for run in [Run(folder, RunResults.read(folder)) for folder in folders]:
        facts = frozenset((key, value) for key, value in run.facts(setting).items() if not is_allowed(key, allow))
        sets.setdefault(facts, []).append(run)
    varied = [runs for runs in sets.values() if len({value_of(run, setting) for run in runs}) > 1]
    return [[run.folder for run in runs] for runs in varied]


def _corrected(found: Sequence[Compared]) -> list[Compared]:
    """Return the comparisons with p values corrected for the number of all of them."""
    corrected = iter(holm([c.found.p for c in found if c.found.p is not None]))
    return [c if c.found.p is None else c._replace(p=next(corrected)) for c in found]
