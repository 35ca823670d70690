"""Groups of runs that differ in one setting, compared benchmark by benchmark."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from facerec.console import log
from facerec.errors import InputError
from facerec.runs.differences import Run, is_allowed, other_differences, read_runs, setting_of, value_of
from facerec.runs.mask_metric import MaskMetric
from facerec.runs.mean_accuracy import Checkpoint
from facerec.runs.metric import ACCURACY, Metric
from facerec.runs.run_names import run_names
from facerec.verification.intervals import Interval
from facerec.verification.paired_comparison import Comparison, holm, is_decided

AnyMetric = Metric | MaskMetric


class Group(NamedTuple):
    """Runs with one value of the setting under test, by their seeds."""

    name: str
    runs: dict[int, Run]


class Compared(NamedTuple):
    """What is found on one benchmark for two groups; ``p`` is corrected for the number of comparisons."""

    benchmark: str
    first: str
    second: str
    means: tuple[float, float]
    intervals: tuple[Interval, Interval]
    found: Comparison
    p: float | None
    metric: AnyMetric = ACCURACY

    def sentence(self) -> str:
        """Return the finding as one sentence."""
        factor = self.metric.factor
        points, (low, high) = factor * self.found.difference, (factor * bound for bound in self.found.interval)
        seeds = f"{self.found.seeds} seed{'s' if self.found.seeds > 1 else ''}"
        what = "" if self.metric == ACCURACY else f"{self.metric.label} "
        facts = f"{what}{points:+.2f} {self.metric.unit}, 95 % interval {low:+.2f} to {high:+.2f}, {seeds}"
        if self.p is None:
            sides = f"{self.second} from {self.first}"
            return f"{self.benchmark}: cannot tell {sides} ({facts}, which holds for this seed alone): train more seeds"
        facts += f", p = {_rounded(self.p)} after Holm"
        if is_decided(self.p):
            better, worse = (self.second, self.first) if self.metric.is_better(points) else (self.first, self.second)
            return f"{self.benchmark}: {better} is better than {worse} ({facts})"
        return f"{self.benchmark}: cannot tell {self.second} from {self.first} ({facts}); {self._remedy()}"

    def _remedy(self) -> str:
        if self.found.seeds_needed is None:
            return "no number of seeds would decide a difference of this size on so few people"
        return f"{self.found.seeds_needed} seeds would find a difference of this size with a probability of 80 %"


class Refused(NamedTuple):
    """Two groups that cannot be compared on a benchmark by the metric, and why."""

    benchmark: str
    first: str
    second: str
    why: str

    def sentence(self) -> str:
        return f"{self.benchmark}: n/a for {self.second} and {self.first}, since {self.why}"


def _rounded(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"


def group_runs(folders: Sequence[Path], setting: str, allow: Collection[str] = ()) -> list[Group]:
    """Group the finished runs in ``folders`` by their values of ``setting``, a dotted key.

    Of several runs with one value and seed, the one that started last counts, which is said; the others may differ from
    it in the commit alone. Raises `InputError` if there are fewer than two groups, or if runs differ in anything but
    the setting, the seed and what ``allow`` names.
    """
    runs = read_runs(folders)
    by_value: dict[str, dict[int, Run]] = {}
    for run in sorted(runs, key=lambda run: run.results.started):
        by_value.setdefault(value_of(run, setting), {})[run.results.config["seed"]] = run
    if setting.rpartition(".")[2] == "seed":
        raise InputError(
            f"runs with other values of {setting} are what a comparison averages over: name another setting"
        )
    if len(by_value) < 2:
        raise InputError(
            f"the {len(runs)} runs all have {setting}={next(iter(by_value))[:80]}: name runs that differ in it"
        )
    counted = [run for group in by_value.values() for run in group.values()]
    _refuse_other_differences(counted, setting, allow)
    _refuse_other_differences(runs, setting, [*allow, "commit"])  # else the last of a sweep would count, not the others
    _refuse_two_settings(runs, by_value, setting)
    repeated = len(runs) - len(counted)
    if repeated:
        log(f"{repeated} of {len(runs)} runs do not count, since a later one has the same seed and {setting}")
    return [Group(name, runs) for name, runs in zip(_names(by_value, setting), by_value.values(), strict=True)]


def _refuse_two_settings(runs: Sequence[Run], counted: Mapping[str, dict[int, Run]], setting: str) -> None:
    """Raise `InputError` if a run that does not count is no repetition of the one that does."""
    for run in runs:
        later = counted[value_of(run, setting)][run.results.config["seed"]]
        differences = [key for key in other_differences([run, later], setting) if key != "commit"]
        if differences:
            raise InputError(
                f"{run.folder} and {later.folder} have the same {setting} and seed but another {differences[0]}: name "
                "runs of one of the two"
            )


def _names(by_value: Mapping[str, dict[int, Run]], setting: str) -> list[str]:
    configs = [next(iter(runs.values())).results.config for runs in by_value.values()]
    values = [setting_of(config, setting) for config in configs]
    if any(isinstance(value, dict) for value in values):
        return run_names(configs)
    return [f"{setting}={json.dumps(value) if not isinstance(value, str) else value}" for value in values]


def _refuse_other_differences(runs: Sequence[Run], setting: str, allow: Collection[str]) -> None:
    for key, values in other_differences(runs, setting).items():
        if not is_allowed(key, allow):
            found = ", ".join(value[:40] for value in values[:3])
            raise InputError(
                f"the runs differ in {key} too ({found}), so that a difference may not be due to {setting}: leave some "
                f"out, or add allow={','.join([*allow, key])}"
            )


def compare_groups(
    groups: Sequence[Group],
    baseline: Group,
    checkpoint: Checkpoint = "last",
    metric: AnyMetric = ACCURACY,
) -> tuple[list[Compared], list[Refused]]:
    """Compare each group with ``baseline``, on each benchmark that all have, over the seeds that both have.

    Also returns the comparisons for which the pairs are too few for the metric.

    Args:
        groups: from `group_runs`.
        baseline: one of them.
        checkpoint: "last" or "best" epoch.
        metric: what is compared.
    """
    scores = {run.folder: metric.kept(run, checkpoint) for group in groups for run in group.runs.values()}
    found, refused = list[Compared](), list[Refused]()
    for group in groups:
        for name in _common(groups, scores) if group is not baseline else ():
            try:
                found.append(_compared(name, baseline, group, scores, metric))
            except InputError:
                raise
            except ValueError as error:
                refused.append(Refused(name, baseline.name, group.name, str(error)))
    return corrected_for_number(found), refused


def corrected_for_number(found: Sequence[Compared]) -> list[Compared]:
    """Return the comparisons with p values that are corrected for the number of all of them (Holm)."""
    corrected = iter(holm([c.found.p for c in found if c.found.p is not None]))
    return [c if c.found.p is None else c._replace(p=next(corrected)) for c in found]


def _common(groups: Sequence[Group], scores: Mapping[Path, dict[str, Any]]) -> list[str]:
    held = [scores[run.folder] for group in groups for run in group.runs.values()]
    names = [name for name in held[0] if all(name in each for each in held)]
    if not names:
        raise InputError("the runs have no benchmark in common: evaluate them on the same data.benchmarks")
    return names


def _compared(
    name: str, first: Group, second: Group, scores: Mapping[Path, dict[str, Any]], metric: AnyMetric
) -> Compared:
    seeds = sorted(first.runs.keys() & second.runs.keys())
    if not seeds:
        raise InputError(
            f"{first.name} has the seeds {_listed(first)} and {second.name} {_listed(second)}: train both with the same"
        )
    kept = [[scores[group.runs[seed].folder][name] for seed in seeds] for group in (first, second)]
    bounds, means, found = metric.compared(name, kept[0], kept[1])
    return Compared(name, first.name, second.name, means, bounds, found, found.p, metric)


def _listed(group: Group) -> str:
    return ", ".join(map(str, sorted(group.runs)))


def baseline_of(groups: Sequence[Group], name: str | None) -> Group:
    """Return the group with this name, or whose name contains it, rather as words than as a part of one; by default
    depthwise, or the first."""
    wanted = re.escape("depthwise" if name is None else name)
    for pattern in (rf"^{wanted}$", rf"(?<!\w){wanted}(?!\w)", wanted):
        found = [group for group in groups if re.search(pattern, group.name, re.IGNORECASE)]
        if found:
            break
    if name is not None and len(found) != 1:
        names = "; ".join(group.name for group in groups)
        raise InputError(f"baseline={name} names {len(found)} of the groups {names}: name one")
    return (found or groups)[0]
