"""Where the labels of a plot's dots go, so that they cover neither a dot nor each other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_DOT, _ABOVE, _BELOW = 5, 10, 2  # pixels of a dot's radius, and of a line of text above and below its baseline
_STEP = 6  # between the positions that are tried


class Area(NamedTuple):
    """A rectangle in pixels; ``top`` is less than ``bottom``."""

    left: float
    top: float
    right: float
    bottom: float


def label_boxes(dots: np.ndarray, widths: Sequence[float], area: Area) -> list[Area | None]:
    """Return the box of each label within ``area``, as near to its dot as possible; None if there is no space at all.

    ``dots`` (N, 2) are their centres and ``widths`` those of the labels, in pixels; a label of width 0 has no box.
    """
    taken = [(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in dots]
    found: list[Area | None] = []
    for (x, y), width in zip(dots, widths, strict=True):
        tried = _boxes(x, y, width, area)
        tried = tried[_are_free(tried, np.array(taken))] if width else tried[:0]
        box = Area(*map(float, tried[0])) if len(tried) else None
        taken += [] if box is None else [box]
        found.append(box)
    return found


def baseline(box: Area) -> float:
    """Return the height of the baseline of the text in a box."""
    return box.bottom - _BELOW


def leader(x: float, y: float, box: Area) -> str | None:
    """Return the path from a dot to its label, or None if the label is beside the dot."""
    to = np.array([np.clip(x, box.left, box.right), np.clip(y, box.top, box.bottom)])
    distance = float(np.hypot(*(to - [x, y])))
    start = np.array([x, y]) + (to - [x, y]) * _DOT / max(distance, _DOT)
    return None if distance < 2 * _DOT else f"M{start[0]:.1f} {start[1]:.1f}L{to[0]:.1f} {to[1]:.1f}"


def _boxes(x: float, y: float, width: float, area: Area) -> np.ndarray:
    """Return boxes (N, 4) inside ``area``: beside, above and below the dot, then all over the area by distance."""
    near = [(x + 7, y + 4), (x - 7 - width, y + 4), (x - width / 2, y - 8), (x - width / 2, y + 17)]
    columns = np.arange(area.left, area.right - width + 0.1, _STEP)
    grid = np.stack(np.meshgrid(columns, np.arange(area.top + _ABOVE, area.bottom, _STEP)), -1).reshape(-1, 2)
    beside = np.maximum(np.maximum(grid[:, 0] - x, x - grid[:, 0] - width), 0)
    above = np.maximum(np.maximum(grid[:, 1] - _ABOVE - y, y - grid[:, 1] - _BELOW), 0)
    starts = np.concatenate([near, grid[np.argsort(np.hypot(beside, above), kind="stable")]])
    boxes = np.concatenate([starts, starts], 1) + np.array([0, -_ABOVE, width, _BELOW])
    inside = (boxes[:, :2] >= [area.left, area.top]).all(1) & (boxes[:, 2:] <= [area.right, area.bottom]).all(1)
    return boxes[inside]


def _are_free(boxes: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Return whether each of the boxes (N, 4) overlaps none of those that are taken (M, 4)."""
    apart = (boxes[:, None, :2] >= taken[:, 2:]) | (boxes[:, None, 2:] <= taken[:, :2])
    return np.asarray(apart.any(-1).all(-1))
