"""Accuracy against what a network costs: figures 4, 7, 8 and 9 of the TVConv paper (arXiv 2203.10489)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

# An operator has the same colour and marker whichever others are drawn. There is one marker less than colours, so that
# their pairs do not repeat.
_ORDER = ("TVConv", "Depthwise", "condconv", "WeightNet", "DYConv", "DYConvPointwise", "Involution", "DDF", "SASA")
_ORDER += ("AxialAttention", "MLPMixer")
_MARKERS = "osD^vP*X<>d"
_COLOURS = ("C3", "C0", "C2", "C1", "C4", "C5", "C6", "C8", "C9", "C7", "black", "navy")
_FEW_LINES = 4  # as many have space for the widths beside their points


@dataclass(frozen=True)
class Point:
    """A network in one figure.

    Attributes:
        line: what it is connected with: the operator, after the backbone and a comma if there are several.
        label: what tells it from others of its line, such as the width.
        accuracies: fractions, one per seed.
        cost: by the axis's label, such as ``MACs (M)``.
    """

    line: str
    label: str
    accuracies: tuple[float, ...]
    cost: Mapping[str, float]


def accuracy_figure(points: Sequence[Point], axes_labels: Sequence[str], benchmarks: str, title: str = "") -> Figure:
    """Plot accuracy over each of the costs, on a logarithmic axis: one panel per cost, one line per `Point.line`.

    A line connects its points in their order. TVConv's is thick, and that of another backbone than MobileNetV2 dashed
    with hollow markers. The bars reach from the lowest to the highest seed. ``benchmarks`` names what the accuracy is
    the mean of.
    """
    lines = list(dict.fromkeys(point.line for point in points))
    figure = Figure(figsize=(5.6 * len(axes_labels) + 1.9, 4.6), layout="constrained")
    panels = figure.subplots(1, len(axes_labels), squeeze=False, sharey=True)[0]
    styles = _styles(lines)
    for axes, cost in zip(panels, axes_labels, strict=True):
        for line in lines:
            _draw(axes, [p for p in points if p.line == line], cost, styles[line], len(lines) <= _FEW_LINES)
        axes.set(xscale="log", xlabel=cost)
        _few_ticks(axes)
        axes.grid(alpha=0.3, which="both")
    panels[0].set_ylabel(f"accuracy (%), {benchmarks}")
    handles, labels = panels[0].get_legend_handles_labels()
    bars = "bars: lowest and highest seed" if any(len(p.accuracies) > 1 for p in points) else None
    figure.legend(handles, labels, title=bars, loc="outside right upper", fontsize="small", title_fontsize="small")
    panels[0].set_title(fill(title, 60), fontsize="small")
    return figure


def _styles(lines: Sequence[str]) -> dict[str, int]:
    """Return the number of each line's colour and marker."""
    operators = list(dict.fromkeys(line.rpartition(", ")[2] for line in lines))
    others = [operator for operator in operators if operator not in _ORDER]
    return {line: [*_ORDER, *others].index(line.rpartition(", ")[2]) for line in lines}


def _draw(axes: Axes, points: Sequence[Point], cost: str, index: int, named: bool) -> None:
    x, y = [point.cost[cost] for point in points], [100 * mean(point.accuracies) for point in points]
    falls = (x[-1] - x[0]) * (y[-1] - y[0]) < 0
    below = [100 * (mean(p.accuracies) - min(p.accuracies)) for p in points]
    above = [100 * (max(p.accuracies) - mean(p.accuracies)) for p in points]
    style = {"color": _COLOURS[index % len(_COLOURS)], "marker": _MARKERS[index % len(_MARKERS)], "markersize": 5}
    dashed = ", " in points[0].line and not points[0].line.startswith("MobileNetV2")
    if dashed:
        style |= {"linestyle": "--", "markerfacecolor": "white"}
    axes.errorbar(x, y, yerr=[below, above], capsize=2, linewidth=1 if index else 2, label=points[0].line, **style)
    for point, *place in zip(points, x, y, strict=True) if named else ():
        _name(axes, point.label, (place[0], place[1]), style["color"], is_above=index % 2 == 0, falls=falls, far=dashed)


def _name(
    axes: Axes, label: str, place: tuple[float, float], colour: str, is_above: bool, falls: bool, far: bool
) -> None:
    """Write a point's label where the line is not: above on the left or below on the right of one that rises.

    ``far`` leaves space for the label of a point of another line that is beside it.
    """
    across = 5 if is_above == falls else -5
    options = {
        "xytext": (across, (5 if is_above else -9) + 8 * far * (1 if is_above else -1)),
        "ha": "left" if across > 0 else "right",
        "color": colour,
    }
    axes.annotate(label, place, textcoords="offset points", fontsize="x-small", **options)


def _few_ticks(axes: Axes) -> None:
    """Label 1, 2 and 5 times powers of ten as plain numbers, and leave space for the names at the edges."""
    axes.margins(x=0.09, y=0.12)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
