"""Images that a benchmark shares with the training set, and pairs of twice the same image."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from facerec.data.source import Benchmark
from facerec.doctor.duplicates import Pair, least_distance, pair_examples
from facerec.doctor.findings import SHOWN, Example, Finding, report
from facerec.doctor.neighbours import FARTHEST
from facerec.doctor.survey import Part


def judge_image_overlap(pairs: Sequence[Pair]) -> list[Finding]:
    """Report the images of benchmarks that are in the training set; ``pairs`` are those of `find_duplicates`."""
    by_benchmark: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.right[0].train is None:
            by_benchmark[pair.right[0].title].append(pair)
    sentence = (
        "these images of the benchmark are in the training set, so its results are too good: remove them and their "
        "identities from the training list, or do not report this benchmark"
    )
    findings: list[Finding] = []
    for title, found in by_benchmark.items():
        details, count = [_details(pair) for pair in found], len({pair.right[1] for pair in found})
        findings += report("training_images_in_benchmark", title, sentence, details, pair_examples(found), count=count)
    return findings


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
    distance = least_distance(part.features[benchmark.left], part.features[benchmark.right])
    is_one = (distance <= FARTHEST) & part.usable[benchmark.left] & part.usable[benchmark.right]
    findings: list[Finding] = []
    for name, mask, sentence in (
        (
            "one_picture_for_two_people",
            is_one & ~benchmark.is_same,
            "these pairs of different people are the same image twice, so no network can be right about them: correct "
            "the list",
        ),
        (
            "one_picture_for_a_pair",
            is_one & benchmark.is_same,
            "these pairs of one person are the same image twice, so every network is right about them: the benchmark "
            "is slightly easier than its size suggests",
        ),
    ):
        pairs = np.stack([benchmark.left, benchmark.right], 1)[mask].tolist()
        details = [{"images": [part.source.name(i) for i in pair]} for pair in pairs]
        examples = [Example(part.source, i, part.source.name(i)) for pair in pairs[: SHOWN // 2] for i in pair]
        findings += report(name, part.title, sentence, details, examples)
    return findings
