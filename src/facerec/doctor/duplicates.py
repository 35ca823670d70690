"""Duplicate images: twice in the training set, or in the training set and a benchmark."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from facerec.doctor.findings import SHOWN, TRAIN, Example, Finding, Severity, report
from facerec.doctor.image_hashes import ZOOMS, flipped
from facerec.doctor.neighbours import close_pairs
from facerec.doctor.survey import Part

_WITHIN = (
    "an identity has the same image more than once, which counts double in training and adds nothing: keep one of "
    "each, or ignore this if they are few"
)
_ACROSS = (
    "two identities have the same image, so at least one label is wrong, and the network is trained to tell equal "
    "images apart: check whose image it is and remove the other, or merge the identities"
)

Likeness = Literal["equal", "alike", "mirrored", "zoomed"]
_LIKENESSES: tuple[Likeness, ...] = ("equal", "alike", "mirrored", "zoomed")
_ALIKE, _FLIPPED, _ZOOMED = 1, 2, 3


@dataclass(frozen=True)
class Pair:
    """Two duplicate images, each given by its part and index.

    They are equal in every pixel, alike, horizontal flips of each other ("mirrored"), or one is the middle of the other
    ("zoomed"). ``distance`` is the number of bits in which their hashes then differ.
    """

    left: tuple[Part, int]
    right: tuple[Part, int]
    likeness: Likeness
    distance: int

    @property
    def is_exact(self) -> bool:
        return self.likeness == "equal"


def find_duplicates(parts: Sequence[Part]) -> list[Pair]:
    """Return the pairs of a training image and a duplicate of it in any part.

    If a part has more than two images with the same hash, each is paired with the next one only.
    """
    if not parts or parts[0].train is None:
        return []
    return find_similar(parts, of_first=True)


def find_similar(parts: Sequence[Part], of_first: bool = False) -> list[Pair]:
    """Return the pairs of duplicates, in one part or two; ``of_first``: only those with an image of the first part."""
    features = np.concatenate([part.features for part in parts])
    part_of = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    usable = np.concatenate([part.usable for part in parts])  # the hashes of images of one colour are all equal
    first, second, kept = _link_equal(features, part_of, np.flatnonzero(usable))
    close = _close(features[kept])
    close[:, :2] = kept[close[:, :2]]
    linked = np.stack([first, second, _ALIKE + 0 * first, 0 * first], 1)
    pairs = np.concatenate([linked, close])
    pairs[:, :2].sort(axis=1)
    pairs = pairs[part_of[pairs[:, 0]] == 0] if of_first else pairs
    equal = (features["digest"][pairs[:, 0]] == features["digest"][pairs[:, 1]]).all(1)
    pairs[equal, 2] = 0
    starts = np.cumsum([0, *map(len, parts)]).tolist()

    def image(row: int) -> tuple[Part, int]:
        return parts[part_of[row]], row - starts[part_of[row]]

    in_order = pairs[np.lexsort(pairs.T[[1, 0, 2, 3]])].tolist()
    return [Pair(image(left), image(right), _LIKENESSES[kind], distance) for left, right, kind, distance in in_order]


def _close(features: np.ndarray) -> np.ndarray:
    """Return pairs of similar rows, ``(P, 4)``: two ascending rows, index of the likeness, distance.

    Each pair is returned once, with the likeness in which it is closest.
    """
    hashes = features["hash"]
    found = [_with_likeness(_ALIKE, *close_pairs(hashes))]
    found.append(_with_likeness(_FLIPPED, *close_pairs(hashes, others=flipped(hashes))))
    for zoom in range(len(ZOOMS)):
        found.append(_with_likeness(_ZOOMED, *close_pairs(hashes, others=features["zoomed"][:, zoom])))
    pairs = np.concatenate(found)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]  # an image that is similar to its own middle
    pairs = pairs[np.lexsort(pairs.T[[2, 3, 1, 0]])]
    is_first = (np.diff(pairs[:, :2], axis=0, prepend=-1) != 0).any(1)
    return pairs[is_first]


def _with_likeness(likeness: int, first: np.ndarray, second: np.ndarray, distance: np.ndarray) -> np.ndarray:
    return np.stack([np.minimum(first, second), np.maximum(first, second), likeness + 0 * first, distance], 1)


def least_distance(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return in how many bits the hashes of ``left`` and ``right`` (features, row by row) differ, in the likeness in
    which they are closest."""
    compared = [(left["hash"], right["hash"]), (left["hash"], flipped(right["hash"]))]
    for zoom in range(len(ZOOMS)):
        compared += [(left["hash"], right["zoomed"][:, zoom]), (left["zoomed"][:, zoom], right["hash"])]
    return np.min([np.bitwise_count(one ^ other).sum(1, dtype=np.int64) for one, other in compared], axis=0)


def _link_equal(
    features: np.ndarray, part_of: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pair each image with the next one of the same part and hash, where images with the same pixels are adjacent.

    Returns the first and the second rows of the pairs, and the first row of each group, ascending.
    """
    hashes, digests = features["hash"][rows], features["digest"][rows]
    order = np.lexsort([rows, *digests.T, *hashes.T, part_of[rows]])
    in_order = rows[order]
    equal = (hashes[order][1:] == hashes[order][:-1]).all(1) & (part_of[in_order][1:] == part_of[in_order][:-1])
    is_first = np.concatenate([[True], ~equal]) if len(rows) else np.empty(0, bool)
    return in_order[:-1][equal], in_order[1:][equal], np.sort(in_order[is_first])


def judge_duplicates(pairs: Sequence[Pair]) -> list[Finding]:
    """Report the pairs within the training set."""
    inside = [pair for pair in pairs if pair.right[0].train is not None]
    across = [pair for pair in inside if _identity(pair.left) != _identity(pair.right)]
    within = [pair for pair in inside if _identity(pair.left) == _identity(pair.right)]
    return [
        *_judged("duplicates_across_identities", "error", [p for p in across if p.is_exact], _ACROSS),
        *_judged("near_duplicates_across_identities", "error", [p for p in across if not p.is_exact], _ACROSS),
        *_judged("duplicates", "warning", [p for p in within if p.is_exact], _WITHIN),
        *_judged("near_duplicates", "warning", [p for p in within if not p.is_exact], _WITHIN),
        *_sharing(across),
    ]


def _judged(name: str, severity: Severity, pairs: Sequence[Pair], sentence: str) -> list[Finding]:
    return report(name, TRAIN, sentence, [_details(pair) for pair in pairs], pair_examples(pairs), severity=severity)


def _sharing(across: Sequence[Pair]) -> list[Finding]:
    """Report identities that share more than one image: these are one person rather than a single wrong label."""
    shared = Counter(tuple(sorted((_identity(pair.left), _identity(pair.right)))) for pair in across)
    details = [{"identities": list(names), "pictures": count} for names, count in shared.most_common() if count > 1]
    sentence = "two identities have several images in common, so they are probably the same person: merge them"
    return report("identities_sharing_pictures", TRAIN, sentence, details)


def _identity(image: tuple[Part, int]) -> str:
    return image[0].identity(image[1])


def _details(pair: Pair) -> dict[str, object]:
    (one, left), (other, right) = pair.left, pair.right
    return {
        "images": [one.source.name(left), other.source.name(right)],
        "identities": [one.identity(left), other.identity(right)],
        "likeness": pair.likeness,
        "distance": pair.distance,
    }


def pair_examples(pairs: Sequence[Pair]) -> list[Example]:
    """Return both images of the most and the least similar pairs."""
    half = SHOWN // 4
    some = pairs if len(pairs) <= 2 * half else [*pairs[:half], *pairs[-half:]]
    return [_example(pair, *image) for pair in some for image in (pair.left, pair.right)]


def _example(pair: Pair, part: Part, index: int) -> Example:
    who = part.title if part.train is None else part.identity(index)
    how = "equal" if pair.is_exact else f"{pair.likeness}, {pair.distance} bits"
    return Example(part.source, index, f"{who}\n{part.source.name(index)}\n{how}")
