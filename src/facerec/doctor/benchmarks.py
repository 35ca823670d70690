"""Checks of a benchmark's pairs: can they be verified, and has every fold both kinds."""

from facerec.data.benchmark_folds import one_sided, refuse_unverifiable
from facerec.data.source import Benchmark
from facerec.doctor.findings import Finding, benchmark_part, report
from facerec.errors import InputError


def judge_folds(benchmark: Benchmark) -> list[Finding]:
    """Report a benchmark that no protocol can verify, at which training stops, and folds with one kind of pairs."""
    part = benchmark_part(benchmark.name)
    try:
        refuse_unverifiable(benchmark)
    except InputError as error:
        details = [{"pairs": len(benchmark)}]
        return report("unverifiable_benchmark", part, str(error), details, severity="error")
    sentence = one_sided(benchmark)
    return report("folds_of_one_kind", part, sentence, [{"pairs": len(benchmark)}] if sentence else [])
