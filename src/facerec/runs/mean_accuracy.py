"""The 95 % interval of the mean accuracy of runs that differ in the seed."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, variance
from typing import Any, Literal, Protocol

import numpy as np

from facerec.errors import InputError
from facerec.files import LAST_SCORES, SCORES
from facerec.runs.run_results import RunResults
from facerec.runs.scores import PairScores, load_scores
from facerec.verification.dependence import PairPeople
from facerec.verification.intervals import Interval, accuracy_terms, wilson
from facerec.verification.paired_comparison import Measured, Variances, mean_interval

Checkpoint = Literal["last", "best"]
SCORES_OF: dict[Checkpoint, str] = {"last": LAST_SCORES, "best": SCORES}
_SAME = ("is_same", "left", "right", "folds", "people")


class FinishedRun(Protocol):
    """A folder with its results."""

    @property
    def folder(self) -> Path: ...

    @property
    def results(self) -> RunResults: ...


def mean_accuracy_interval(
    runs: Sequence[FinishedRun], checkpoint: Checkpoint, name: str
) -> tuple[Interval | None, bool]:
    """Return the interval on benchmark ``name`` over seeds and pairs, and whether it is that of `compare`.

    It is if the files of scores tell which errors over pairs the seeds have in common, or with one seed. Else all of
    them are taken for common, which makes the interval slightly too wide. None if an older version wrote no errors.
    """
    summaries = [getattr(run.results, checkpoint)["benchmarks"][name] for run in runs]
    without = mean_interval_of_summaries(summaries)
    if len(runs) == 1 or without is None:
        return without, True
    try:
        kept = [load_scores(run.folder / SCORES_OF[checkpoint])[name] for run in runs]
        measured = [measured_accuracy(each) for each in kept]
    except (InputError, KeyError, AssertionError):
        return without, False
    people = common_people(kept)
    told = [summary["accuracy"] for summary in summaries]
    if people is None or isinstance(people, str) or not np.allclose([m.rate for m in measured], told):
        return without, False
    return mean_interval(measured, people), True


def measured_accuracy(kept: PairScores) -> Measured:
    assert kept.correct is not None and kept.folds is not None
    return Measured(*accuracy_terms(kept.correct, kept.folds))


def common_people(kept: Sequence[PairScores]) -> PairPeople | str | None:
    """Return the people of the pairs, which are the same in all files; else the key in which they differ. None if an
    older version did not write them."""
    for key in _SAME:
        if not all(np.array_equal(getattr(kept[0], key), getattr(each, key)) for each in kept):
            return key
    return kept[0].people_of_pairs()


def mean_interval_of_summaries(
    summaries: Sequence[dict[str, Any]],
    rate: str = "accuracy",
    error: str = "accuracy_error",
    people: str = "num_people",
) -> Interval | None:
    """Return the interval from the numbers in results.json under these keys; None if an older version lacks one."""
    errors = [summary[error] for summary in summaries if summary.get(error) is not None]
    if len(errors) < len(summaries):
        return None
    rates, number, counted = [s[rate] for s in summaries], len(summaries), int(summaries[0][people])
    seeds = variance(rates) / number if number > 1 else None
    found = Variances(mean(each**2 for each in errors), seeds, 0.0)
    return wilson(mean(rates), found.total(), counted, found.degrees_of_freedom(number, counted))
