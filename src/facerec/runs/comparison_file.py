"""The file in which a comparison of runs is kept, as ``facerec report compare json=FILE`` writes it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facerec.errors import InputError
from facerec.files import refuse_no_regular_file
from facerec.runs.comparing import AnyMetric, Compared, Refused
from facerec.verification.intervals import Interval


@dataclass(frozen=True)
class KeptDifference:
    """The difference of two groups of runs on a benchmark.

    ``value`` is the second group's mean minus the first's, with its 95 % interval, in the unit of the metric; ``p`` is
    corrected for the comparisons of the file (Holm), and None with one seed.
    """

    benchmark: str
    first: str
    second: str
    value: float
    interval: Interval
    p: float | None


@dataclass(frozen=True)
class KeptComparison:
    """The differences of a file, of which ``metric`` they are, and in which ``unit``."""

    metric: str
    unit: str
    differences: Sequence[KeptDifference]


def comparison_content(
    found: Sequence[Compared], refused: Sequence[Refused], metric: AnyMetric, asked: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of a file, for `json.dump`: what was ``asked`` and what was found."""
    return {
        **asked,
        **{"metric": metric.kind, "label": metric.label, "unit": metric.unit, "factor": metric.factor},
        "refused": [{**each._asdict(), "sentence": each.sentence()} for each in refused],
        "comparisons": [
            {**c._asdict(), "metric": c.metric.label, "found": c.found._asdict(), "sentence": c.sentence()}
            for c in found
        ],
    }


def read_comparison(path: Path) -> KeptComparison:
    """Read a file of `comparison_content`; raise `InputError` if it is none, or of an older version without units."""
    refuse_no_regular_file(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: name a file that facerec report compare wrote with json=")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        differences = [_difference(each, float(content["factor"])) for each in content["comparisons"]]
        return KeptComparison(str(content["label"]), str(content["unit"]), differences)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{path} is no comparison that this version wrote ({error!r:.100}): write it again with "
            f"facerec report compare json={path}"
        ) from error


def _difference(comparison: Any, factor: float) -> KeptDifference:
    found, p = comparison["found"], comparison["p"]
    ends = Interval(*(factor * float(end) for end in found["interval"]))
    value, p = factor * float(found["difference"]), None if p is None else float(p)
    if not all(map(math.isfinite, (value, *ends, p or 0.0))):
        raise ValueError(f"the difference on {comparison['benchmark']} is {value} {[*ends]}, p = {p}")
    names = [str(comparison[key]) for key in ("benchmark", "first", "second")]
    return KeptDifference(names[0], names[1], names[2], value, ends, p)
