"""A forest plot: differences with their 95 % intervals, one below the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facerec.verification.paired_comparison import is_decided

_LINE, _GAP, _PANEL, _LABELS, _EDGES = 0.15, 0.18, 3.3, 3.2, 0.9  # inches


@dataclass(frozen=True)
class ForestRow:
    """A difference.

    Attributes:
        label: lines beside the row.
        panel: name of the panel, such as a benchmark; a label has one difference in each.
        value: in the unit of the scale, with the ends of its interval.
        p: None where there is none, as with one seed.
    """

    label: str
    panel: str
    value: float
    interval: tuple[float, float]
    p: float | None


def forest_figure(rows: Sequence[ForestRow], what: str) -> Figure:
    """Draw the rows in one or more panels, all with the scale that ``what`` names. Full dots are decided."""
    labels, names = list(dict.fromkeys(row.label for row in rows)), list(dict.fromkeys(row.panel for row in rows))
    ends = list(accumulate(_LINE * (1 + label.count("\n")) + _GAP for label in labels))
    places = {label: (above + below) / 2 for label, (above, below) in zip(labels, pairwise([0.0, *ends]), strict=True)}
    figure = Figure((_LABELS + _PANEL * len(names), _EDGES + ends[-1]), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True, sharex=True)[0]
    for axes, name in zip(panels, names, strict=True):
        for row in rows:
            if row.panel == name:
                _draw(axes, places[row.label], row)
        axes.axvline(0, color="black", linewidth=0.8, zorder=0)
        axes.grid(axis="x", alpha=0.3)
        axes.set_title(name, fontsize="medium", fontweight="bold")
    panels[0].set_yticks([*places.values()], labels, fontsize="small")
    panels[0].set(ylim=(ends[-1], 0), xlim=_limits(rows))
    figure.supxlabel(f"{what}, with 95 % intervals; full dots: p < 0.05", fontsize="small")
    return figure


def _limits(rows: Sequence[ForestRow]) -> tuple[float, float]:
    """Return a scale with 0, all intervals, and space for the numbers above them."""
    ends = [0.0, *(end for row in rows for end in row.interval)]
    margin = 0.12 * (max(ends) - min(ends)) or 1.0
    return min(ends) - margin, max(ends) + margin


def _draw(axes: Axes, place: float, row: ForestRow) -> None:
    decided, (low, high) = is_decided(row.p), row.interval
    colour = "C0" if decided else "0.4"
    axes.plot([low, high], [place, place], color=colour, linewidth=1.5, solid_capstyle="round")
    axes.plot(row.value, place, "o", color=colour, markerfacecolor=colour if decided else "white")
    axes.annotate(
        f"{_signed(row.value)} [{_signed(low)}, {_signed(high)}]",
        (row.value, place),
        (0, 7),
        textcoords="offset points",
        ha="center",
        color=colour,
        fontsize="x-small",
        fontweight="bold" if decided else "normal",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},  # over the line at 0
    )


def _signed(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}"  # no -0.0
