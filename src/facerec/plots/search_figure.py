"""The trials of a hyper-parameter search: accuracy over trials, and over each setting that was searched."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

_MARKERS = "osD^vP*X"
_COLUMNS = 3
_FEW_DECADES = 300  # between the ends of an axis with ticks at 2 and 5 times powers of ten as well
_LONGEST, _FEW_CHOICES = 16, 3  # characters of a choice's name on an axis; so many are beside each other
_SPREAD = 0.5  # of the compared values around a choice


@dataclass(frozen=True)
class TrialPoint:
    """A trial.

    Attributes:
        number: from 1.
        accuracy: in percent, of the last epoch it had; NaN without one.
        finished: whether it had all epochs.
        settings: the value of each searched key.
    """

    number: int
    accuracy: float
    finished: bool
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Scale:
    """The axis of a range."""

    low: float
    high: float
    log: bool


def search_figure(trials: Mapping[str, Sequence[TrialPoint]], scales: Mapping[str, Scale | Sequence[str]]) -> Figure:
    """Plot the accuracy over trials with the best so far, then over each key of ``scales``: a range, or its choices.

    Each compared value has a colour and a marker. Trials that did not finish are hollow, and a cross on the axis is one
    without an accuracy.
    """
    panels = 1 + len(scales)
    columns = min(_COLUMNS, panels)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(4.4 * columns, 3.6 * rows + 0.9), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).flat
    for index, points in enumerate(trials.values()):
        _draw(axes[0], [(point, point.number) for point in points], index)
        _draw_best(axes[0], points, index)
        for panel, (key, scale) in zip(axes[1:], scales.items(), strict=False):
            _draw(panel, [(point, _place(point.settings[key], scale, index, len(trials))) for point in points], index)
    axes[0].set_xlabel("trial (line: best so far)")
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    for panel, (key, scale) in zip(axes[1:], scales.items(), strict=False):
        panel.set_xlabel(fill(key, 40))
        if isinstance(scale, Scale):
            _span(panel, scale)
        else:
            _name(panel, scale)
    for panel in axes[panels:]:
        panel.remove()
    for panel in axes[:panels]:
        panel.grid(alpha=0.3)
    for row in range(rows):
        axes[row * columns].set_ylabel("accuracy (%), held-out identities")
    _add_legend(figure, trials)
    return figure


def _span(axes: Axes, scale: Scale) -> None:
    """Let the axis show the whole range, with plain numbers at 1, 2 and 5 times powers of ten if it is logarithmic."""
    if not scale.log:
        margin = 0.04 * (scale.high - scale.low)
        axes.set_xlim(scale.low - margin, scale.high + margin)
        return
    margin = (scale.high / scale.low) ** 0.04
    axes.set(xscale="log", xlim=(scale.low / margin, scale.high * margin))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if scale.high / scale.low < _FEW_DECADES else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _name(axes: Axes, choices: Sequence[str]) -> None:
    """Let the axis name the choices."""
    short = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in choices]
    axes.set_xticks(range(len(choices)), short, rotation=0 if len(choices) <= _FEW_CHOICES else 30)
    axes.set_xlim(-0.5, len(choices) - 0.5)


def _add_legend(figure: Figure, trials: Mapping[str, Sequence[TrialPoint]]) -> None:
    lines = [Line2D([], [], label=name, **_style(i)) for i, name in enumerate(trials)] if len(trials) > 1 else []
    unfinished = [point.accuracy for points in trials.values() for point in points if not point.finished]
    if any(map(math.isfinite, unfinished)):
        lines.append(
            Line2D([], [], label="not finished", color="grey", marker="o", linestyle="", markerfacecolor="white")
        )
    if not all(map(math.isfinite, unfinished)):
        lines.append(Line2D([], [], label="without an accuracy", color="grey", marker="x", linestyle=""))
    if lines:
        figure.legend(handles=lines, loc="outside upper center", ncols=min(6, len(lines)))


def _style(index: int) -> dict[str, Any]:
    return {"color": f"C{index}", "marker": _MARKERS[index % len(_MARKERS)]}


def _draw(axes: Axes, placed: Sequence[tuple[TrialPoint, Any]], index: int) -> None:
    style = _style(index) | {"linestyle": "", "markersize": 5, "alpha": 0.8}
    for finished, face in ((False, "white"), (True, style["color"])):
        chosen = [(x, p.accuracy) for p, x in placed if p.finished == finished and math.isfinite(p.accuracy)]
        axes.plot([x for x, _ in chosen], [y for _, y in chosen], markerfacecolor=face, **style)
    without = [x for point, x in placed if not math.isfinite(point.accuracy)]
    # In the height of the axes: 0 is the lower edge.
    axes.plot(without, [0.02] * len(without), "x", color=style["color"], transform=axes.get_xaxis_transform())


def _draw_best(axes: Axes, points: Sequence[TrialPoint], index: int) -> None:
    finished = [point for point in points if point.finished]
    best = list(accumulate((point.accuracy for point in finished), max))
    numbers = [point.number for point in finished]
    if finished:
        axes.step([*numbers, points[-1].number], [*best, best[-1]], where="post", color=f"C{index}", linewidth=1)


def _place(value: Any, scale: Scale | Sequence[str], index: int, number: int) -> float:
    """Return where a setting is on its axis: a choice at its number, beside those of other compared values."""
    if isinstance(scale, Scale):
        return value
    return scale.index(value) + _SPREAD * ((index + 0.5) / number - 0.5)
