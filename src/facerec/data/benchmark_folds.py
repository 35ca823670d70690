"""Whether a benchmark's pairs can be verified, and whether its folds make the accuracy meaningful."""

from facerec.data.source import Benchmark
from facerec.errors import InputError
from facerec.verification.verify import NUM_FOLDS, check_pairs, folds_of_one_kind


def refuse_unverifiable(benchmark: Benchmark) -> None:
    """Raise `InputError` if no protocol can verify the pairs: they are too few, or all of one kind."""
    try:
        check_pairs(benchmark.is_same, NUM_FOLDS)
    except ValueError as error:
        raise InputError(f"benchmark {benchmark.name} cannot be verified: {error}") from error


def one_sided(benchmark: Benchmark) -> str:
    """Return a sentence about the folds with one kind of pairs; empty if every fold has both."""
    folds = folds_of_one_kind(benchmark.is_same, NUM_FOLDS)
    if not folds:
        return ""
    problem = f"{len(folds)} of the {NUM_FOLDS} folds of benchmark {benchmark.name} have one kind of pairs only"
    effect = "their thresholds suit the other kind, which lowers the accuracy by up to tens of percent"
    remedy = "list the pairs fold by fold, each with both kinds, as facerec prepare_benchmark list deal=true does"
    return f"{problem}, since the list is sorted; {effect}: {remedy}"
