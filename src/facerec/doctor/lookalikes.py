"""Wrong labels, people with two identities, and people of a benchmark, found by a trained network.

All findings are candidates for visual inspection, the most suspicious first: a network that confuses two people also
confuses them here.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn.functional import normalize

from facerec.data.source import Benchmark
from facerec.doctor.faces import (
    Embedder,
    Faces,
    label_gaps,
    mutual_neighbours,
    mutual_people,
    own_similarity,
    sum_by_identity,
)
from facerec.doctor.findings import SHOWN, Example, Finding, report
from facerec.doctor.survey import Part

_OUTLIER = 3.0  # robust standard deviations
_IMPOSTORS = 1e-3  # fraction of the benchmark's pairs of different people that are more similar
_PAIRS = SHOWN // 2

_MISLABELLED = (
    "these images look far more like another identity than like the rest of their own, the most suspicious first: "
    "inspect them, and correct or remove wrong ones"
)
_SIMILAR = (
    "two identities are more similar to each other than half of all identities are to themselves, the most similar "
    "first: check whether they are the same person, and merge them if so"
)
_OVERLAP = (
    "these training identities look like people of the benchmark, the most similar first: check whether they are, and "
    "remove them from the training list if so"
)


def judge_faces(
    parts: Sequence[Part], benchmarks: Sequence[Benchmark], embedder: Embedder, num_workers: int
) -> list[Finding]:
    """Compare the faces of the training set, the first part, with each other and with ``benchmarks``, the others."""
    if not parts or parts[0].train is None:
        return []
    embedded = [Faces(part, embedder.embed(part, num_workers), torch.zeros(())) for part in parts]
    if not parts[0].usable.any():
        return []
    mean = sum_by_identity(embedded[0]).sum(0) / int(parts[0].usable.sum())
    train, *others = [replace(faces, mean=mean) for faces in embedded]
    sums = sum_by_identity(train)
    found = _judge_labels(train, *label_gaps(train, sums)) if len(sums) > 1 else []
    similar, limit = mutual_neighbours(normalize(sums), train.counts), own_similarity(train, sums)
    found += _judge_identities(train.part, [pair for pair in similar if pair[2] > limit])
    for faces, benchmark in zip(others, benchmarks, strict=True):
        people, limit = mutual_people(normalize(sums), faces), impostor_similarity(faces, benchmark)
        found += _judge_people(train.part, faces.part, [pair for pair in people if pair[2] > limit])
    return found


def impostor_similarity(faces: Faces, benchmark: Benchmark) -> float:
    """Return the cosine that 0.1 % of the benchmark's pairs of different people exceed; NaN without such pairs."""
    usable = faces.part.usable
    different = ~benchmark.is_same & usable[benchmark.left] & usable[benchmark.right]
    if not different.any():
        return float("nan")
    left, right = faces.rows(benchmark.left[different]), faces.rows(benchmark.right[different])
    return float(np.quantile((left * right).sum(1).numpy(), 1 - _IMPOSTORS, method="higher"))


def _judge_labels(train: Faces, gap: np.ndarray, nearest: np.ndarray) -> list[Finding]:
    if np.isnan(gap).all():
        return []
    middle = np.nanmedian(gap)
    deviation = 1.4826 * np.nanmedian(np.abs(gap - middle))
    suspects = np.flatnonzero(gap > max(middle + _OUTLIER * deviation, 0))
    suspects = suspects[np.argsort(-gap[suspects], kind="stable")].tolist()
    part, name = train.part, train.train.identity_name
    details = [
        {"image": part.source.name(i), "identity": part.identity(i), "looks_like": name(int(nearest[i]))}
        | {"difference": round(float(gap[i]), 3)}
        for i in suspects
    ]
    examples: list[Example] = []
    for i in suspects[:_PAIRS]:
        examples.append(Example(part.source, i, f"{part.source.name(i)}\nlabelled {part.identity(i)}"))
        examples.append(_portrait(train.part, int(nearest[i]), "looks like"))
    return report("mislabelled_images", part.title, _MISLABELLED, details, examples)


def _judge_identities(part: Part, pairs: Sequence[tuple[int, int, float]]) -> list[Finding]:
    assert part.train is not None
    name = part.train.identity_name
    details = [{"identities": [name(one), name(other)], "similarity": round(s, 3)} for one, other, s in pairs]
    examples = [_portrait(part, label, f"{s:.2f}") for *both, s in pairs[:_PAIRS] for label in both]
    return report("similar_identities", part.title, _SIMILAR, details, examples)


def _judge_people(train: Part, part: Part, pairs: Sequence[tuple[int, int, float]]) -> list[Finding]:
    assert train.train is not None
    name, image = train.train.identity_name, part.source.name
    details = [{"identity": name(who), "image": image(i), "similarity": round(s, 3)} for who, i, s in pairs]
    examples: list[Example] = []
    for who, i, s in pairs[:_PAIRS]:
        examples.append(_portrait(train, who, f"{s:.2f}"))
        examples.append(Example(part.source, i, f"{part.title}\n{image(i)}"))
    return report("training_faces_in_benchmark", part.title, _OVERLAP, details, examples)


def _portrait(part: Part, label: int, words: str) -> Example:
    """Return the first usable image of an identity, with a caption."""
    assert part.train is not None
    index = int(np.argmax((part.train.labels == label) & part.usable))
    return Example(part.source, index, f"{words}\n{part.train.identity_name(label)}")
