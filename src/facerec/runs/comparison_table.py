"""The table of a comparison of runs."""

from collections.abc import Sequence

from facerec.runs.comparing import Compared, Refused
from facerec.runs.metric import ACCURACY
from facerec.runs.table_formats import Estimate, Row


def comparison_rows(found: Sequence[Compared], refused: Sequence[Refused] = ()) -> list[Row]:
    """Return one row per comparison: the rates and their difference in percent, with 95 % intervals, and p."""
    return [*map(_row, found), *map(_without, refused)]


def _without(refused: Refused) -> Row:
    columns = ("baseline", "difference", "p", "seeds", "seeds needed")
    row = {"benchmark": refused.benchmark, "compared": f"{refused.second} with {refused.first}"}
    return row | dict.fromkeys((ACCURACY.kind, *columns), "n/a")


def _row(compared: Compared) -> Row:
    (first, second), found, factor = compared.means, compared.found, compared.metric.factor
    return {
        "benchmark": compared.benchmark,
        "compared": f"{compared.second} with {compared.first}",
        "accuracy": Estimate(second, compared.intervals[1], factor=factor),
        "baseline": Estimate(first, compared.intervals[0], factor=factor),
        "difference": Estimate(found.difference, found.interval, "+", factor=factor),
        "p": "n/a" if compared.p is None else f"{compared.p:.3g}",
        "seeds": str(found.seeds),
        "seeds needed": "n/a" if found.seeds_needed is None else str(found.seeds_needed),
    }
