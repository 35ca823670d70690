"""Differences between groups of runs with their intervals, one below the other."""

from collections.abc import Mapping, Sequence

import numpy as np

from facerec.pages.markup import Html, element
from facerec.pages.scales import Scale, linear
from facerec.runs.comparing import Compared
from facerec.verification.paired_comparison import is_decided

_WIDTH, _ROW, _TOP, _EDGE = 360, 30, 6, 12


def difference_scale(found: Sequence[Compared]) -> Scale:
    """Return a scale in percentage points for all differences with their intervals, and for 0."""
    ends = [100 * end for compared in found for end in compared.found.interval]
    return linear(np.array([0.0, *ends]))


def forest_plot(found: Sequence[Compared], scale: Scale, short: Mapping[str, str]) -> Html:
    """Return an SVG element with a row per comparison, whose groups are named as in ``short``."""
    bottom = _TOP + _ROW * len(found)
    zero = element("path", d=f"M{_place(scale, 0):.1f} {_TOP}V{bottom}", class_="tick")
    ticks = [part for value, name in scale.ticks for part in _tick(_place(scale, value), bottom, name)]
    rows = [_row(compared, _TOP + _ROW * index, scale, short) for index, compared in enumerate(found)]
    unit = element("text", "Percentage points", x=_WIDTH - _EDGE, y=bottom + 32, text_anchor="end", class_="what")
    box = f"0 0 {_WIDTH} {bottom + 36}"
    return element("svg", *ticks, zero, *rows, unit, viewBox=box, role="img", aria_label="differences with intervals")


def _place(scale: Scale, value: float) -> float:
    return _EDGE + float(scale.place(np.array(value))) * (_WIDTH - 2 * _EDGE)


def _tick(place: float, bottom: float, name: str) -> list[Html]:
    line = element("path", d=f"M{place:.1f} {_TOP}V{bottom}", class_="grid")
    return [line, element("text", name, x=f"{place:.1f}", y=bottom + 15, text_anchor="middle")]


def _row(compared: Compared, top: float, scale: Scale, short: Mapping[str, str]) -> Html:
    low, high, middle = (_place(scale, 100 * v) for v in (*compared.found.interval, compared.found.difference))
    name = f"{short[compared.second]} against {short[compared.first]}"
    parts = [
        element("title", compared.sentence()),
        element("text", name, x=_EDGE, y=top + 13, class_="label"),
        element("path", d=f"M{low:.1f} {top + 21}H{high:.1f}"),
        element("circle", cx=f"{middle:.1f}", cy=top + 21, r=4),
    ]
    return element("g", *parts, class_="decided" if is_decided(compared.p) else "open")
