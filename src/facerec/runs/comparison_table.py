"""The table of a comparison of runs."""

from collections.abc import Sequence

from facerec.runs.comparing import Compared
from facerec.runs.table_formats import Row
from facerec.verification.intervals import Interval


def comparison_rows(found: Sequence[Compared]) -> list[Row]:
    """Return one row per comparison: accuracies and their difference in percent, with 95 % intervals, and p."""
    return [_row(compared) for compared in found]


def _row(compared: Compared) -> Row:
    (first, second), found = compared.means, compared.found
    return {
        "benchmark": compared.benchmark,
        "compared": f"{compared.second} with {compared.first}",
        "accuracy": f"{100 * second:.2f} {_shown(compared.intervals[1])}",
        "baseline": f"{100 * first:.2f} {_shown(compared.intervals[0])}",
        "difference": f"{100 * found.difference:+.2f} {_shown(found.interval, '+')}",
        "p": "n/a" if compared.p is None else f"{compared.p:.3g}",
        "seeds": str(found.seeds),
        "seeds needed": "n/a" if found.seeds_needed is None else str(found.seeds_needed),
    }


def _shown(interval: Interval, sign: str = "") -> str:
    return f"[{100 * interval.low:{sign}.2f}, {100 * interval.high:{sign}.2f}]"
