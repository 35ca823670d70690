"""Pictures that are there more than once: in the training set, or in the training set and a benchmark."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facerec.doctor.findings import SHOWN, Finding, Picture, Severity
from facerec.doctor.neighbours import close_pairs
from facerec.doctor.survey import Part

_WITHIN = (
    "pictures that the same identity has twice count double in training and add nothing: keep one of each, or leave "
    "them where they are few"
)
_ACROSS = (
    "two identities hold the same picture, so at least one label is wrong, and the network is pushed to tell apart "
    "what is equal: look whose picture it is and remove the other, or merge the identities"
)


@dataclass(frozen=True)
class Pair:
    """Two images, by part and number, that show one picture. ``distance`` counts the bits in which their hashes differ,
    -1 where even the pixels are equal."""

    left: tuple[Part, int]
    right: tuple[Part, int]
    distance: int

    @property
    def is_exact(self) -> bool:
        return self.distance < 0


def find_duplicates(parts: Sequence[Part]) -> list[Pair]:
    """Pairs of a training image and another image of any part. Of pictures that a part holds more than twice with the
    same hash, each is paired with the next one."""
    if not parts or parts[0].train is None:
        return []
    features = np.concatenate([part.features for part in parts])
    part_of = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    rows = _compared(features)
    first, second, kept = _link_equal(features, part_of, rows)
    left, right, distance = close_pairs(features["hash"][kept])
    pairs = np.concatenate([np.stack([first, second, 0 * first], 1), np.stack([kept[left], kept[right], distance], 1)])
    pairs[:, :2].sort(axis=1)
    pairs = pairs[part_of[pairs[:, 0]] == 0]
    equal = (features["digest"][pairs[:, 0]] == features["digest"][pairs[:, 1]]).all(1)
    pairs[equal, 2] = -1
    starts = np.cumsum([0, *(len(part) for part in parts)])
    place = [(parts[part], starts[part]) for part in range(len(parts))]
    return [_pair(place, part_of, *pair) for pair in pairs[np.lexsort(pairs.T[[1, 0, 2]])].tolist()]


def _pair(place: list[tuple[Part, int]], part_of: np.ndarray, left: int, right: int, distance: int) -> Pair:
    (one, start), (other, other_start) = place[part_of[left]], place[part_of[right]]
    return Pair((one, int(left - start)), (other, int(right - other_start)), distance)


def _compared(features: np.ndarray) -> np.ndarray:
    """The rows with a picture; an image of one colour is equal to any other."""
    return np.flatnonzero(features["readable"] & ~features["flat"])


def _link_equal(
    features: np.ndarray, part_of: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the images of a part with one hash: each and the next, those with the same pixels beside each other; and the
    first of each, ascending."""
    hashes, digests = features["hash"][rows], features["digest"][rows]
    order = np.lexsort([rows, *digests.T, *hashes.T, part_of[rows]])
    in_order = rows[order]
    equal = (hashes[order][1:] == hashes[order][:-1]).all(1) & (part_of[in_order][1:] == part_of[in_order][:-1])
    is_first = np.concatenate([[True], ~equal]) if len(rows) else np.empty(0, bool)
    return in_order[:-1][equal], in_order[1:][equal], np.sort(in_order[is_first])


def judge_duplicates(pairs: Sequence[Pair]) -> list[Finding]:
    """Findings about the pairs within the training set."""
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
    if not pairs:
        return []
    details = [_details(pair) for pair in pairs]
    pictures = pair_pictures(pairs)
    return [
        Finding(
            name=name,
            severity=severity,
            part=pairs[0].left[0].title,
            count=len(pairs),
            sentence=sentence,
            details=details,
            pictures=pictures,
        )
    ]


def _sharing(across: Sequence[Pair]) -> list[Finding]:
    """Identities that share more than one picture are one person, rather than one mistake."""
    shared = Counter(tuple(sorted((_identity(pair.left), _identity(pair.right)))) for pair in across)
    details = [{"identities": list(names), "pictures": count} for names, count in shared.most_common() if count > 1]
    if not details:
        return []
    return [
        Finding(
            name="identities_sharing_pictures",
            severity="warning",
            part=across[0].left[0].title,
            count=len(details),
            sentence="two identities hold several pictures in common, so they are likely one person: merge them",
            details=details,
        )
    ]


def _identity(place: tuple[Part, int]) -> str:
    return place[0].identity(place[1])


def _details(pair: Pair) -> dict[str, object]:
    (one, left), (other, right) = pair.left, pair.right
    return {
        "images": [one.source.name(left), other.source.name(right)],
        "identities": [one.identity(left), other.identity(right)],
        "distance": max(pair.distance, 0),
    }


def pair_pictures(pairs: Sequence[Pair]) -> list[Picture]:
    """Both images of some pairs, those that differ most and least."""
    half = SHOWN // 4
    some = pairs if len(pairs) <= 2 * half else [*pairs[:half], *pairs[-half:]]
    return [_picture(pair, *place) for pair in some for place in (pair.left, pair.right)]


def _picture(pair: Pair, part: Part, index: int) -> Picture:
    who = part.title if part.train is None else part.identity(index)
    how = "equal" if pair.is_exact else f"{pair.distance} bits"
    return Picture(part.source, index, f"{who}\n{part.source.name(index)}\n{how}")
