"""The summary of an alignment, small for any number of images: counts, failures, and faces for visual inspection."""

import csv
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from facerec.alignment.align import Outcome
from facerec.alignment.outputs import read_origin
from facerec.alignment.placement import template
from facerec.data.decode import decode_rgb
from facerec.errors import one_line
from facerec.files import csv_cell, replacing
from facerec.plots.contact_sheet import Section, write_contact_sheet

_SPREAD, _WORST, _COLUMNS, _SIDE = 40, 16, 8, 168
_NUMBER = re.compile(r"-?\d+")
_TEMPLATE_COLOUR, _LANDMARK_COLOUR = (0, 200, 0), (255, 40, 40)


class Summary:
    """Counts `Outcome`s and remembers some of them."""

    def __init__(self) -> None:
        self.aligned = self.skipped = self.mirrored = self._with_points = 0
        self.removed = 0
        self.failures: list[Outcome] = []
        self.worst: list[Outcome] = []
        self.spread: list[Outcome] = []
        self._sum = 0.0
        self._random = random.Random(0)

    def add(self, outcome: Outcome) -> None:
        if outcome.reason:
            self.failures.append(outcome)
            return
        self.aligned += outcome.is_new
        self.skipped += not outcome.is_new
        self._sample(outcome)
        if outcome.residual is not None:
            self._with_points += 1
            self.mirrored += outcome.is_mirrored
            self._sum += outcome.residual
            self.worst = sorted([*self.worst, outcome], key=_badness)[:_WORST]

    def _sample(self, outcome: Outcome) -> None:
        """Update the sample, in which every face so far is with the same probability (reservoir sampling)."""
        index = self._random.randrange(self.aligned + self.skipped)
        if len(self.spread) < _SPREAD:
            self.spread.append(outcome)
        elif index < _SPREAD:
            self.spread[index] = outcome

    @property
    def faces(self) -> int:
        return self.aligned + self.skipped

    @property
    def is_mostly_mirrored(self) -> bool:
        return self.mirrored > self._with_points / 2

    def as_json(self) -> dict[str, int | float | None]:
        """Return the counts and residuals; residuals are in pixels of the result, None if no landmarks were used."""
        return {
            "aligned": self.aligned,
            "skipped": self.skipped,
            "failed": len(self.failures),
            "removed": self.removed,
            "mean_residual": round(self._sum / self._with_points, 3) if self._with_points else None,
            "largest_residual": round(-_badness(self.worst[0]), 3) if self.worst else None,
        }

    def reasons(self) -> list[tuple[str, int]]:
        """Count the reasons of the failures, cut at their first colon, the most frequent first.

        Reasons that differ only in numbers or in the image's path are merged, with ``…`` in place of the difference.
        """
        groups: dict[str, Counter[str]] = defaultdict(Counter)
        for failure in self.failures:
            reason = _without_path(failure)
            groups[_NUMBER.sub("…", reason)][reason] += 1
        named = ((next(iter(group)) if len(group) == 1 else key, group.total()) for key, group in groups.items())
        return sorted(named, key=lambda reason: -reason[1])


def _without_path(failure: Outcome) -> str:
    path = one_line(failure.path)
    reason = failure.reason.replace(f" {path}", "")
    # A fiducial file has the image's path with another suffix.
    return reason.replace(f"/{path.rpartition('.')[0]}.", "/….").split(": ")[0]


def write_failures(failures: Sequence[Outcome], path: Path) -> None:
    """Write a CSV with the columns ``path,reason``, whole or not at all."""
    # A file's name may not be valid text.
    with replacing(path) as partial, partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "reason"))
        rows.writerows((csv_cell(failure.path), csv_cell(failure.reason)) for failure in failures)


def write_sheet(summary: Summary, target: Path, outputs: dict[str, str], path: Path) -> None:
    """Write a contact sheet of a random sample of the faces and of those whose landmarks fit worst, with the template's
    points and the landmarks marked."""
    spread = sorted(summary.spread)
    marks = "template green, landmarks red" if summary.worst else "template green"
    sections = [_section(f"{len(spread)} of {summary.faces:,} aligned faces ({marks})", spread, target, outputs)]
    if summary.worst:
        title = "largest residuals: pixels between the landmarks and the template (root mean square)"
        sections.append(_section(title, summary.worst, target, outputs))
    write_contact_sheet(sections, path, _COLUMNS, _SIDE)


def _section(title: str, chosen: Sequence[Outcome], target: Path, outputs: dict[str, str]) -> Section:
    images = [_marked(target / outputs[outcome.path]) for outcome in chosen]
    return Section(title, images, [_caption(outcome) for outcome in chosen])


def _caption(outcome: Outcome) -> str:
    path = one_line(outcome.path).encode("utf-8", "replace").decode("utf-8")
    return path if outcome.residual is None else f"{path}\n{outcome.residual:.2f} px"


def _marked(path: Path) -> np.ndarray:
    """Read the aligned face in ``path`` and enlarge it, with its points drawn on it."""
    face = decode_rgb(path.read_bytes(), str(path))
    scale = _SIDE / len(face)
    page = cv2.resize(face, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
    for x, y in template(len(face)):
        cv2.drawMarker(page, _drawn_at(x, y, scale), _TEMPLATE_COLOUR, cv2.MARKER_CROSS, 11, 1, cv2.LINE_AA)
    origin = read_origin(path)
    for point in (origin.points if origin else None) or ():
        if point is not None:
            cv2.circle(page, _drawn_at(*point, scale), 3, _LANDMARK_COLOUR, 1, cv2.LINE_AA)
    return page


def _drawn_at(x: float, y: float, scale: float) -> tuple[int, int]:
    return round((x + 0.5) * scale - 0.5), round((y + 0.5) * scale - 0.5)


def _badness(outcome: Outcome) -> float:
    return -(outcome.residual or 0.0)
