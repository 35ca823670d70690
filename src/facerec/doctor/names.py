"""What names and numbers tell: of identities, of their images, of the images of benchmarks."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from facerec.data.source import Benchmark, LabelledSource
from facerec.doctor.findings import TRAIN, Finding, benchmark_part

_NUMBERED = re.compile(r"(.+?)[_\- .]+\d+$")  # Aaron_Peirsol_0001


def name_key(name: str) -> str:
    """Letters and digits alone, without accents or capitals; empty for a name without letters, which is a number that
    others use for somebody else."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(filter(str.isalnum, plain)) if any(map(str.isalpha, plain)) else ""


def identity_key(name: str) -> str:
    """The key of an identity ``lfw/Aaron_Peirsol`` is that of its last part."""
    return name_key(PurePosixPath(name).name)


def image_keys(name: str) -> set[str]:
    """The keys of those whom an image ``Aaron_Peirsol/Aaron_Peirsol_0001.jpg`` may show: its folders, and its own name
    where it ends with a number."""
    path = PurePosixPath(name)
    numbered = _NUMBERED.match(path.stem)
    return {name_key(part) for part in [*path.parts[:-1], *(numbered.groups() if numbered else ())]} - {""}


def judge_counts(train: LabelledSource) -> list[Finding]:
    """Identities with one image."""
    alone = np.flatnonzero(np.bincount(train.labels) == 1).tolist()
    if not alone:
        return []
    return [
        _warning(
            "identities_with_one_image",
            len(alone),
            "one image of a person does not show what stays the same between two: add images or leave these out",
            [{"identity": train.identity_name(label)} for label in alone],
        )
    ]


def judge_names(train: LabelledSource) -> list[Finding]:
    """Identities whose names are alike, and class numbers that no image has."""
    return [*_alike(train), *_gaps(train)]


def _alike(train: LabelledSource) -> list[Finding]:
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in map(train.identity_name, range(train.num_identities)):
        by_key[identity_key(name)].append(name)
    alike = [{"identities": names} for key, names in by_key.items() if key and len(names) > 1]
    if not alike:
        return []
    return [
        _warning(
            "identity_names_alike",
            len(alike),
            "these names differ in capitals, accents, separators or the folder above, so they are likely one person: "
            "merge them",
            alike,
        )
    ]


def _gaps(train: LabelledSource) -> list[Finding]:
    missing = train.missing_classes().tolist()
    if not missing:
        return []
    return [
        _warning(
            "label_gaps",
            len(missing),
            "no image has these class numbers below the largest; training closes the gaps, other programs make centres "
            "for nobody: see whether images were lost",
            [{"class": number} for number in missing],
        )
    ]


def judge_name_overlap(train: LabelledSource, benchmark: Benchmark) -> list[Finding]:
    """Identities of the training set that the benchmark shows too."""
    shown: dict[str, str] = {}
    for name in map(benchmark.images.name, range(len(benchmark.images))):
        for key in image_keys(name):
            shown.setdefault(key, name)
    names = map(train.identity_name, range(train.num_identities))
    common = [{"identity": name, "image": shown[key]} for name in names if (key := identity_key(name)) in shown]
    if not common:
        return []
    return [
        _warning(
            "training_names_in_benchmark",
            len(common),
            "these identities of the training set have names that the benchmark has too, so its numbers are too good: "
            "leave them out of the training list, or do not report this benchmark",
            common,
            benchmark_part(benchmark.name),
        )
    ]


def _warning(name: str, count: int, sentence: str, details: Sequence[dict[str, Any]], part: str = TRAIN) -> Finding:
    return Finding(name=name, severity="warning", part=part, count=count, sentence=sentence, details=details)
