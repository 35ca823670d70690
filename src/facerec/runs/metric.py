"""The rate by which runs are compared: accuracy, TAR at a FAR, or FNMR at an FMR."""

from typing import Literal, NamedTuple

from facerec.errors import InputError
from facerec.runs.mean_accuracy import measured_accuracy
from facerec.runs.scores import PairScores
from facerec.verification.dependence import PairPeople
from facerec.verification.intervals import tar_terms
from facerec.verification.paired_comparison import Measured

_AT = {"tar": "FAR", "fnmr": "FMR"}


class Metric(NamedTuple):
    """``kind`` at the fraction ``rate`` of accepted different-person pairs, None for accuracy."""

    kind: Literal["accuracy", "tar", "fnmr"] = "accuracy"
    rate: float | None = None

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

    def measured(self, kept: PairScores, people: PairPeople) -> Measured:
        """Return the rate of a run and the terms of its error; `ValueError` if its pairs cannot resolve it."""
        if self.rate is None:
            return measured_accuracy(kept)
        tar, terms = tar_terms(kept.scores, kept.is_same, self.rate, people)
        return Measured(tar, terms, 1.0) if self.kind == "tar" else Measured(1 - tar, -terms, 1.0)


ACCURACY = Metric()
