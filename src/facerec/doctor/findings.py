"""What is found, in a form for people, for programs and for the page of pictures."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from facerec.data.source import ImageSource
from facerec.errors import InputError
from facerec.plots.contact_sheet import Section, write_contact_sheet

Severity = Literal["error", "warning"]
TRAIN = "training set"
SHOWN = 20  # pictures of a finding
LISTED = 100_000  # details of a finding, where a whole set may be one


def benchmark_part(name: str) -> str:
    """What a person calls the benchmark."""
    return f"benchmark {name}"


@dataclass(frozen=True, eq=False)
class Picture:
    """An image that shows a finding, and the words below it."""

    source: ImageSource
    index: int
    caption: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        name: for programs.
        severity: an error spoils a run or its numbers; a warning is to be looked at.
        part: where it was found, such as ``benchmark lfw``.
        count: how many of them.
        sentence: what it means and what to do.
        details: the images or identities concerned, plain values; where a whole set may be, the first `LISTED`.
        pictures: some of them.
    """

    name: str
    severity: Severity
    part: str
    count: int
    sentence: str
    details: Sequence[dict[str, Any]]
    pictures: Sequence[Picture] = field(default=(), compare=False, repr=False)

    def summary(self) -> dict[str, Any]:
        """Without the details, which may be many."""
        return {key: getattr(self, key) for key in ("name", "severity", "part", "count", "sentence")}


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """What `check_data` found.

    Attributes:
        images: in the training set.
        identities: in the training set.
        images_per_identity: the smallest and the largest number; None without a training set.
        pairs: number of pairs of each benchmark that could be opened.
        image_sizes: number of readable images of each size ``WIDTHxHEIGHT``, the commonest first.
        unreadable: ``image``, its name, and ``reason``, a sentence, for each image that cannot be decoded, and the
            ``line`` of an image of a training list.
        problems: a sentence for each part that could not be opened.
        findings: all that is wrong, errors first.
    """

    images: int
    identities: int
    images_per_identity: tuple[int, int] | None
    pairs: dict[str, int]
    image_sizes: dict[str, int]
    unreadable: list[dict[str, str | int]]
    problems: list[str]
    findings: list[Finding]

    @property
    def is_sound(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    def summary(self) -> dict[str, Any]:
        """As plain values, without the findings' details."""
        return {**self._plain(), "findings": [finding.summary() for finding in self.findings]}

    def full(self) -> dict[str, Any]:
        """As plain values, with all details."""
        found = [{**finding.summary(), "details": list(finding.details)} for finding in self.findings]
        return {**self._plain(), "findings": found}

    def _plain(self) -> dict[str, Any]:
        keys = ("images", "identities", "images_per_identity", "pairs", "image_sizes", "unreadable", "problems")
        return {key: getattr(self, key) for key in keys}


WRONG = {"line": "wrong_lines", "folder": "wrong_folders"}  # names of findings


@dataclass
class Wrong:
    """What is wrong with the lists or the identity folders of a ``part``, an `OnProblem` that goes on: how many lines
    and how many folders, and of the first of each the number or the name, and a sentence."""

    part: str
    counts: Counter[str] = field(default_factory=Counter)
    details: list[dict[str, int | str]] = field(default_factory=list)

    def __call__(self, place: int | str, sentence: str) -> None:
        kind = "folder" if isinstance(place, str) else "line"
        self.counts[kind] += 1
        if self.counts[kind] <= LISTED:
            self.details.append({kind: place, "problem": sentence})

    def findings(self) -> list[Finding]:
        """One for the lines and one for the folders, where there are any."""
        return [
            Finding(
                name=WRONG[kind],
                severity="error",
                part=self.part,
                count=count,
                sentence=f"training stops at the first of these {kind}s; all others were looked at: do what is said of "
                "each",
                details=[entry for entry in self.details if kind in entry],
            )
            for kind, count in self.counts.items()
        ]


def write_pictures(findings: Sequence[Finding], path: Path) -> None:
    """Show what can be shown of each finding that has pictures."""
    sections = [_section(finding) for finding in findings if finding.pictures]
    write_contact_sheet(sections or [Section("nothing to show", [], [])], path)


def _section(finding: Finding) -> Section:
    title = f"{finding.severity}: {finding.name.replace('_', ' ')}, {finding.part} ({finding.count:,})"
    images, captions = [], []
    for picture in finding.pictures:
        try:
            images.append(picture.source.load(picture.index))
        except InputError:
            images.append(np.full((96, 96, 3), 255, np.uint8))
        captions.append(picture.caption)
    return Section(title, images, captions)
