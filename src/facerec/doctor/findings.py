"""The findings of a check, for people, for programs and as a contact sheet."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from facerec.data.source import ImageSource
from facerec.doctor.cleaned_list import CleanedList
from facerec.errors import InputError
from facerec.plots.contact_sheet import Section, write_contact_sheet

Severity = Literal["error", "warning"]
_Opened = TypeVar("_Opened")
TRAIN = "training set"
SHOWN = 20  # maximum number of examples per finding
LISTED = 100_000  # maximum number of details per finding that may concern a whole set


def benchmark_part(name: str) -> str:
    """Return the title of a benchmark."""
    return f"benchmark {name}"


@dataclass(frozen=True, eq=False)
class Example:
    """An image that shows a finding, with its caption."""

    source: ImageSource
    index: int
    caption: str


@dataclass(frozen=True)
class Finding:
    """One kind of defect in one part of the data.

    Attributes:
        name: identifier for programs.
        severity: an error spoils a run or its results; a warning needs inspection.
        part: where it was found, such as ``benchmark lfw``.
        count: number of occurrences.
        sentence: its meaning and the remedy.
        details: the images or identities concerned, as plain values; if there may be very many, the first `LISTED`.
        examples: some of the images.
    """

    name: str
    severity: Severity
    part: str
    count: int
    sentence: str
    details: Sequence[dict[str, Any]]
    examples: Sequence[Example] = field(default=(), compare=False, repr=False)

    def summary(self) -> dict[str, Any]:
        """Return the finding for `json.dump`, without its details."""
        return {key: getattr(self, key) for key in ("name", "severity", "part", "count", "sentence")}


def report(
    name: str,
    part: str,
    sentence: str,
    details: Sequence[dict[str, Any]],
    examples: Sequence[Example] = (),
    *,
    severity: Severity = "warning",
    count: int | None = None,
) -> list[Finding]:
    """Return the finding, or nothing without ``details``; their number is the default of ``count``."""
    count = len(details) if count is None else count
    return [Finding(name, severity, part, count, sentence, details, examples)] if details else []


class Report:
    """What the checks of all kinds of data found.

    Attributes:
        image_sizes: number of readable images per size ``WIDTHxHEIGHT``, the most frequent first.
        unreadable: for each image that cannot be decoded its name ``image`` and the sentence ``reason``.
        problems: a sentence per part that could not be opened.
        findings: all findings, errors first.
    """

    image_sizes: dict[str, int]
    unreadable: list[dict[str, str | int]]
    problems: list[str]
    findings: list[Finding]

    @property
    def is_sound(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    def summary(self) -> dict[str, Any]:
        """Return the report for `json.dump`, without the findings' details."""
        return self._with([finding.summary() for finding in self.findings])

    def full(self) -> dict[str, Any]:
        """Return the report for `json.dump`, with all details."""
        return self._with([{**finding.summary(), "details": list(finding.details)} for finding in self.findings])

    def _with(self, findings: list[dict[str, Any]]) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "cleaned"} | {"findings": findings}


@dataclass(frozen=True, kw_only=True)
class DataReport(Report):
    """The result of `check_data`.

    Attributes:
        images: number of training images.
        identities: number of training identities.
        images_per_identity: the smallest and the largest number; None without a training set.
        pairs: number of pairs per benchmark that could be opened.
        image_sizes, problems, findings: see `Report`.
        unreadable: see `Report`; an image in a training list has its ``line`` as well.
        cleaned: the training list without the images far from their identity's centre; None if none was looked for.
    """

    images: int
    identities: int
    images_per_identity: tuple[int, int] | None
    pairs: dict[str, int]
    image_sizes: dict[str, int]
    unreadable: list[dict[str, str | int]]
    problems: list[str]
    findings: list[Finding]
    cleaned: CleanedList | None = field(default=None, compare=False, repr=False)


# Names of findings by the kind of location.
WRONG = {"line": "wrong_lines", "folder": "wrong_folders", "file": "wrong_files"}


@dataclass
class Wrong:
    """An `OnProblem` that collects the problems with the lines of a list and the identity folders of a ``part``.

    It counts lines and folders, and keeps line number or folder name and the sentence of the first `LISTED` of each.
    What has a name is a folder unless ``named`` says otherwise.
    """

    part: str
    named: str = "folder"
    counts: Counter[str] = field(default_factory=Counter)
    details: list[dict[str, int | str]] = field(default_factory=list)

    def __call__(self, location: int | str, sentence: str) -> None:
        kind = self.named if isinstance(location, str) else "line"
        self.counts[kind] += 1
        if self.counts[kind] <= LISTED:
            self.details.append({kind: location, "problem": sentence})

    def findings(self) -> list[Finding]:
        """Return one finding for the lines and one for what has a name, if there are any."""
        found: list[Finding] = []
        for kind, count in self.counts.items():
            sentence = f"training would stop at the first of these {kind}s; the rest was checked all the same: fix each"
            details = [entry for entry in self.details if kind in entry]
            found += report(WRONG[kind], self.part, f"{sentence} as described", details, severity="error", count=count)
        return found


def unless_refused(opener: Callable[[], _Opened], problems: list[str]) -> _Opened | None:
    """Return what ``opener`` returns, or None if it raises an `InputError`, whose sentence is added to ``problems``."""
    try:
        return opener()
    except InputError as error:
        if str(error) not in problems:  # each benchmark reports a missing data.root
            problems.append(str(error))
        return None


def write_examples(findings: Sequence[Finding], path: Path) -> None:
    """Write the examples of all findings as a contact sheet."""
    sections = [_section(finding) for finding in findings if finding.examples]
    write_contact_sheet(sections or [Section("nothing to show", [], [])], path)


def _section(finding: Finding) -> Section:
    title = f"{finding.severity}: {finding.name.replace('_', ' ')}, {finding.part} ({finding.count:,})"
    images, captions = [], []
    for example in finding.examples:
        try:
            images.append(example.source.load(example.index))
        except InputError:
            images.append(np.full((96, 96, 3), 255, np.uint8))
        captions.append(example.caption)
    return Section(title, images, captions)
