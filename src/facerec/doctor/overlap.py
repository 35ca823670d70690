"""Images that a benchmark shares with the training set, and pairs of twice the same image."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from facerec.data.source import Benchmark
from facerec.doctor.duplicates import Pair, least_distance, pair_examples
from facerec.doctor.findings import SHOWN, Example, Finding
from facerec.doctor.neighbours import FARTHEST
from facerec.doctor.survey import Part


def judge_image_overlap(pairs: Sequence[Pair]) -> list[Finding]:
    """Report the images of benchmarks that are in the training set; ``pairs`` are those of `find_duplicates`."""
    by_benchmark: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.right[0].train is None:
            by_benchmark[pair.right[0].title].append(pair)
    return [
        Finding(
            name="training_images_in_benchmark",
            severity="warning",
            part=title,
            count=len({pair.right[1] for pair in found}),
            sentence="these images of the benchmark are in the training set, so its results are too good: remove them "
            "and their identities from the training list, or do not report this benchmark",
            details=[_details(pair) for pair in found],
            examples=pair_examples(found),
        )
        for title, found in by_benchmark.items()
    ]


def _details(pair: Pair) -> dict[str, object]:
    (train, left), (benchmark, right) = pair.left, pair.right
    return {
        "images": [train.source.name(left), benchmark.source.name(right)],
        "identity": train.identity(left),
        "likeness": pair.likeness,
        "distance": pair.distance,
    }


def judge_pairs(part: Part, benchmark: Benchmark) -> list[Finding]:
    """Report the pairs of ``benchmark`` whose two images are the same."""
    usable = part.features["readable"] & ~part.features["flat"]
    distance = least_distance(part.features[benchmark.left], part.features[benchmark.right])
    is_one = (distance <= FARTHEST) & usable[benchmark.left] & usable[benchmark.right]
    chosen = {
        "one_picture_for_two_people": (
            is_one & ~benchmark.is_same,
            "these pairs of different people are the same image twice, so no network can be right about them: correct "
            "the list",
        ),
        "one_picture_for_a_pair": (
            is_one & benchmark.is_same,
            "these pairs of one person are the same image twice, so every network is right about them: the benchmark "
            "is slightly easier than its size suggests",
        ),
    }
    return [
        _finding(part, benchmark, name, np.flatnonzero(mask), sentence)
        for name, (mask, sentence) in chosen.items()
        if mask.any()
    ]


def _finding(part: Part, benchmark: Benchmark, name: str, pairs: np.ndarray, sentence: str) -> Finding:
    images = np.stack([benchmark.left, benchmark.right], 1)[pairs].tolist()
    return Finding(
        name=name,
        severity="warning",
        part=part.title,
        count=len(pairs),
        sentence=sentence,
        details=[{"images": [part.source.name(i) for i in pair]} for pair in images],
        examples=[Example(part.source, i, part.source.name(i)) for pair in images[: SHOWN // 2] for i in pair],
    )
