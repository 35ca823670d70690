"""Checks of the names of identities and benchmark images, and of the number of images per identity."""

from collections import defaultdict

import numpy as np

from facerec.data.readers.people_names import identity_key, image_keys
from facerec.data.source import Benchmark, LabelledSource, refuse_one_identity
from facerec.doctor.findings import TRAIN, Finding, benchmark_part, report
from facerec.errors import InputError


def judge_counts(train: LabelledSource) -> list[Finding]:
    """Report a training set of one identity, and identities with one image."""
    alone = np.flatnonzero(np.bincount(train.labels) == 1).tolist()
    return _one_identity(train) + report(
        "identities_with_one_image",
        TRAIN,
        "a single image does not show what all images of a person have in common: add images or leave these out",
        [{"identity": train.identity_name(label)} for label in alone],
    )


def _one_identity(train: LabelledSource) -> list[Finding]:
    try:
        refuse_one_identity(train)
    except InputError as error:
        details = [{"identity": train.identity_name(0)}]
        return report("one_identity", TRAIN, str(error), details, severity="error")
    return []


def judge_names(train: LabelledSource) -> list[Finding]:
    """Report identities with similar names, and class labels without images."""
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in map(train.identity_name, range(train.num_identities)):
        by_key[identity_key(name)].append(name)
    alike = report(
        "identity_names_alike",
        TRAIN,
        "these names differ only in case, accents, separators or parent folder, so they are probably the same person: "
        "merge them",
        [{"identities": names} for key, names in by_key.items() if key and len(names) > 1],
    )
    gaps = report(
        "label_gaps",
        TRAIN,
        "no image has these class labels below the largest; training closes the gaps, other programs create unused "
        "classes: check whether images were lost",
        [{"class": label} for label in train.missing_classes().tolist()],
    )
    return alike + gaps


def judge_name_overlap(train: LabelledSource, benchmark: Benchmark) -> list[Finding]:
    """Report training identities whose names are also in the benchmark."""
    shown: dict[str, str] = {}
    for name in map(benchmark.images.name, range(len(benchmark.images))):
        for key in image_keys(name):
            shown.setdefault(key, name)
    names = map(train.identity_name, range(train.num_identities))
    return report(
        "training_names_in_benchmark",
        benchmark_part(benchmark.name),
        "the benchmark also has images of these training identities, by their names, so its results are too good: "
        "remove them from the training list, or do not report this benchmark",
        [{"identity": name, "image": shown[key]} for name in names if (key := identity_key(name)) in shown],
    )
