"""The rate by which runs are compared: accuracy, TAR at a FAR, or FNMR at an FMR."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from facerec.console import log
from facerec.errors import InputError
from facerec.files import RESULTS
from facerec.runs.differences import Run
from facerec.runs.mean_accuracy import SCORES_OF, Checkpoint, common_people, measured_accuracy
from facerec.runs.scores import PairScores, load_scores
from facerec.verification.dependence import PairPeople
from facerec.verification.intervals import Interval, tar_terms
from facerec.verification.paired_comparison import Comparison, Measured, compare, mean_interval

_AT = {"tar": "FAR", "fnmr": "FMR"}


class Metric(NamedTuple):
    """``kind`` at the fraction ``rate`` of accepted different-person pairs, None for accuracy."""

    kind: Literal["accuracy", "tar", "fnmr"] = "accuracy"
    rate: float | None = None
    unit = "points"
    factor = 100

    @property
    def label(self) -> str:
        return "accuracy" if self.rate is None else f"{self.kind.upper()} at {_AT[self.kind]} {self.rate:g}"

    def refuse_wrong_rate(self) -> None:
        """Raise `InputError` unless the rate is between 0 and 1, and given where the metric needs one."""
        if self.kind == "accuracy" and self.rate is not None:
            raise InputError(f"rate={self.rate:g} has no effect on an accuracy: add metric=tar or metric=fnmr")
        if self.kind != "accuracy" and (self.rate is None or not 0 < self.rate < 1):
            given = "has no rate" if self.rate is None else f"has rate={self.rate:g}"
            raise InputError(f"metric={self.kind} {given}: add the {_AT[self.kind]}, between 0 and 1, as in rate=0.01")

    def is_better(self, difference: float) -> bool:
        """Return whether a second group with this difference from the first is the better one."""
        return difference < 0 if self.kind == "fnmr" else difference > 0

    def kept(self, run: Run, checkpoint: Checkpoint) -> dict[str, PairScores]:
        """Return the scores of a run by benchmark; `InputError` if an older version did not write all of them."""
        folder, summaries = run.folder, getattr(run.results, checkpoint)["benchmarks"]
        path = folder / SCORES_OF[checkpoint]
        again = f"facerec evaluate checkpoint={folder / checkpoint}.ckpt scores={path}"
        if not path.is_file():
            raise InputError(f"{path} is missing, as for runs of an older version: write it with {again}")
        scores = load_scores(path)
        for name, kept in scores.items():
            if kept.correct is None or kept.folds is None or kept.people_of_pairs() is None:
                raise InputError(
                    f"{path} does not say who is in the pairs of {name}, as older versions: write it with {again}"
                )
            rate, said = measured_accuracy(kept).rate, summaries.get(name, {}).get("accuracy")
            if said is not None and not np.isclose(rate, said):
                problem = f"{path} gives {100 * rate:.2f} % on {name}, but {RESULTS} {100 * said:.2f} %"
                log(f"{problem}: unless the device explains that, write it again with {again}")
        return scores

    def compared(
        self, name: str, first: Sequence[PairScores], second: Sequence[PairScores]
    ) -> tuple[tuple[Interval, Interval], tuple[float, float], Comparison]:
        """Compare two groups of runs, in the same order of seeds, on benchmark ``name``.

        Returns the intervals of the means, the means and the comparison. Raises `InputError` if the runs have other
        pairs, `ValueError` if these are too few for the metric.
        """
        people = common_people([*first, *second])
        assert people is not None
        if isinstance(people, str):
            raise InputError(f"the runs have other pairs of {name} ({people} differs): evaluate them on the same list")
        measured = [[self.measured(each, people) for each in group] for group in (first, second)]
        means = [float(np.mean([m.rate for m in group])) for group in measured]
        bounds = [mean_interval(group, people) for group in measured]
        return (bounds[0], bounds[1]), (means[0], means[1]), compare(measured[0], measured[1], people)

    def measured(self, kept: PairScores, people: PairPeople) -> Measured:
        """Return the rate of a run and the terms of its error; `ValueError` if its pairs cannot resolve it."""
        if self.rate is None:
            return measured_accuracy(kept)
        tar, terms = tar_terms(kept.scores, kept.is_same, self.rate, people)
        return Measured(tar, terms, 1.0) if self.kind == "tar" else Measured(1 - tar, -terms, 1.0)


METRIC_KINDS: tuple[Literal["accuracy", "tar", "fnmr"], ...] = ("accuracy", "tar", "fnmr")
ACCURACY = Metric()
