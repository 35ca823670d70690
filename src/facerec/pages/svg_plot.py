"""A plot as SVG inside the page: lines and dots, named where the mouse is, in colours that the style sheet sets."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from facerec.pages.dot_labels import Area, baseline, label_boxes, leader
from facerec.pages.markup import Html, element
from facerec.pages.scales import Scale
from facerec.pages.texts import sentence_case

WIDTH, HEIGHT = 360, 260
TOP, BOTTOM, LEFT, RIGHT = 26, 40, 46, 14
COLOURS = 8  # of the style sheet; further groups have them again, dashed
_CROWD = 16  # more lines are drawn thinner
_CHARACTER = 6.2  # pixels of a character of a label


class Line(NamedTuple):
    """A curve through ``points`` (N, 2), or a dot if there is one point, with its name and the colour of a group.

    Lines and dots of one ``cell`` of a sweep are highlighted together.
    """

    points: np.ndarray
    name: str
    colour: int
    cell: int
    label: str = ""


class Dot(NamedTuple):
    """A dot with what stands beside it, and the ends of its interval, if it has one; see `Line`."""

    x: float
    y: float
    name: str
    colour: int
    cell: int
    label: str = ""
    interval: tuple[float, float] | None = None


class Axis(NamedTuple):
    """A scale and what it measures."""

    label: str
    scale: Scale

    def title(self) -> str:
        """Return the text beside the axis."""
        return sentence_case(f"{self.label}, logarithmic" if self.scale.transform is np.log10 else self.label)


def plot(x: Axis, y: Axis, lines: Sequence[Line], dots: Sequence[Dot] = (), front: np.ndarray | None = None) -> Html:
    """Return an SVG element with the lines, then the dots, and behind them a grey line through ``front`` (N, 2)."""
    frame = _Frame(x.scale, y.scale, RIGHT + max((len(line.label) * _CHARACTER for line in lines), default=0))
    behind = [] if front is None else [element("path", d=frame.path(front), class_="front")]
    parts = [*frame.grid(x, y), *behind, *map(frame.line, lines), *frame.end_labels(lines)]
    parts += [*map(frame.dot, dots), *frame.dot_labels(dots)]
    crowded = "crowded" if len(lines) > _CROWD else None
    box, name = f"0 0 {WIDTH} {HEIGHT}", f"{y.label} by {x.label}"
    return element("svg", *parts, viewBox=box, role="img", aria_label=name, class_=crowded)


def colour_class(colour: int) -> str:
    """Return the class of the style sheet for group number ``colour``."""
    return f"c{colour % COLOURS}" + (" dashed" if colour >= COLOURS else "")


class _Frame:
    """The positions of a plot, in pixels."""

    def __init__(self, x: Scale, y: Scale, right: float) -> None:
        self.x, self.y = x, y
        self.right, self.bottom = WIDTH - min(right, WIDTH / 3), HEIGHT - BOTTOM

    def positions(self, points: np.ndarray) -> np.ndarray:
        """Return points (N, 2) in pixels."""
        x = LEFT + self.x.place(points[:, 0]) * (self.right - LEFT)
        return np.stack([x, self.bottom - self.y.place(points[:, 1]) * (self.bottom - TOP)], 1)

    def grid(self, x: Axis, y: Axis) -> list[Html]:
        """Return the ticks, their names and those of the axes."""
        parts = []
        for value, name in y.scale.ticks:
            ((_, height),) = self.positions(np.array([[x.scale.low, value]]))
            parts.append(element("path", d=f"M{LEFT} {height:.1f}H{self.right:.1f}", class_="grid"))
            parts.append(_text(LEFT - 6, height + 4, name, "end"))
        for value, name in x.scale.ticks:
            ((position, _),) = self.positions(np.array([[value, y.scale.low]]))
            parts.append(element("path", d=f"M{position:.1f} {self.bottom}v4", class_="tick"))
            parts.append(_text(position, self.bottom + 17, name, "middle"))
        parts.append(element("path", d=f"M{LEFT} {self.bottom}H{self.right:.1f}", class_="axis"))
        parts.append(_text(4, 13, y.title(), "start", "what"))
        parts.append(_text(self.right, HEIGHT - 6, x.title(), "end", "what"))
        return parts

    def path(self, points: np.ndarray) -> str:
        """Return the path through ``points``, in half pixels, without corners that repeat or lie on a straight line."""
        corners = np.round(2 * self.positions(points)).astype(int)
        corners = corners[np.append(True, np.any(np.diff(corners, axis=0), axis=1))]
        steps = np.diff(corners, axis=0)
        before, after = steps[:-1], steps[1:]
        straight = before[:, 0] * after[:, 1] == before[:, 1] * after[:, 0]
        turns = ~straight | (np.sum(before * after, 1) < 0)
        kept = corners[np.concatenate([[True], turns, [True]])] if len(corners) > 2 else corners
        moves = "".join(_move(dx / 2, dy / 2) for dx, dy in np.diff(kept, axis=0))
        return f"M{kept[0, 0] / 2:g} {kept[0, 1] / 2:g}{moves or 'h0'}"

    def line(self, line: Line) -> Html:
        ((x, y),) = self.positions(line.points[:1])
        alone = element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=4)
        drawn = element("path", d=self.path(line.points)) if len(line.points) > 1 else alone
        title = element("title", line.name)
        return element("g", title, drawn, class_=colour_class(line.colour), data_cell=line.cell, data_group=line.colour)

    def end_labels(self, lines: Sequence[Line]) -> list[Html]:
        """Return the labels of lines at their right ends, moved apart where they would cover each other."""
        ends = [(self.positions(line.points[-1:])[0], line) for line in lines if line.label]
        ends.sort(key=lambda end: end[0][1])
        heights = _apart([y + 4 for (_, y), _ in ends], self.bottom)
        return [
            _text(x + 5, height, line.label, "start", f"label {colour_class(line.colour)}")
            for ((x, _), line), height in zip(ends, heights, strict=True)
        ]

    def dot(self, dot: Dot) -> Html:
        ((x, y),) = self.positions(np.array([[dot.x, dot.y]]))
        parts = [element("title", dot.name)]
        if dot.interval is not None:
            ends = self.positions(np.array([[dot.x, end] for end in dot.interval]))[:, 1]
            parts.append(element("path", d=f"M{x:.1f} {ends[0]:.1f}V{ends[1]:.1f}"))
        parts.append(element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=4))
        return element("g", *parts, class_=colour_class(dot.colour), data_cell=dot.cell, data_group=dot.colour)

    def dot_labels(self, dots: Sequence[Dot]) -> list[Html]:
        """Return the labels of dots, with a line to those that have no space beside their dots."""
        positions = self.positions(np.array([[dot.x, dot.y] for dot in dots]).reshape(-1, 2))
        area = Area(LEFT, TOP - 8, WIDTH, self.bottom)
        boxes = label_boxes(positions, [len(dot.label) * _CHARACTER for dot in dots], area)
        parts = []
        for (x, y), dot, box in zip(positions, dots, boxes, strict=True):
            if box is not None:
                path = leader(x, y, box)
                parts += [element("path", d=path, class_="leader")] if path else []
                end, anchor = (box.right, "end") if box.right < x else (box.left, "start")
                parts.append(_text(end, baseline(box), dot.label, anchor, f"label {colour_class(dot.colour)}"))
        return parts


def _apart(heights: list[float], lowest: float) -> list[float]:
    """Return ascending ``heights`` at least a line apart, the last one not below ``lowest``."""
    for index in range(1, len(heights)):
        heights[index] = max(heights[index], heights[index - 1] + 12)
    for index in reversed(range(len(heights))):
        heights[index] = min(heights[index], lowest)
        lowest = heights[index] - 12
    return heights


def _move(dx: float, dy: float) -> str:
    return f"h{dx:g}" if dy == 0 else f"v{dy:g}" if dx == 0 else f"l{dx:g} {dy:g}"


def _text(x: float, y: float, text: str, anchor: str, kind: str | None = None) -> Html:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=kind)


def figure(drawn: Html, caption: str) -> Html:
    """Return a plot with its caption."""
    return element("figure", element("figcaption", caption), drawn)


def legend(groups: Sequence[str]) -> Html:
    """Return the names of the groups beside their colours."""
    swatches = [
        element("li", element("i", class_=colour_class(index)), name, data_group=index)
        for index, name in enumerate(groups)
    ]
    return element("ul", *swatches, class_="legend")
