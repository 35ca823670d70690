"""Speed of the verification of pairs of embeddings, compared with the published code's loop over 20,001 thresholds, and
of that of all pairs of images, compared with a loop over images."""

from functools import partial

import numpy as np

from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.timing import Effort, alternate, milliseconds
from facerec.verification.all_pairs import compare_all
from facerec.verification.match_rates import FMRS, operating_points
from facerec.verification.verify import verify

ALL_PAIRS, LOOP_OVER_IMAGES = "compare_all, with intervals", "loop over images"
LOOP, OURS, OURS_EXACT = "loop over thresholds", "verify, tvconv_reference", "verify, tvconv"


def cases(effort: Effort) -> list[Case]:
    """Return the case at the size of LFW, and one of all pairs of images. ``tvconv_reference`` gives the same result as
    the loop; ``tvconv`` is the default protocol."""
    pairs, dim, folds = (40, 8, 2) if effort.quick else (6000, 512, 10)
    goals = [Goal(LOOP, OURS, 100), Goal(LOOP, OURS_EXACT, 100)]
    measure = partial(_measure, pairs, dim, folds, effort)
    people = 10 if effort.quick else 1000
    images = f"all {people * 5 * (people * 5 - 1) // 2:,} pairs of {people * 5:,} images x {dim}"
    measure_all = partial(_measure_all_pairs, people, dim, effort)
    return [
        Case("verification", f"{pairs:,} pairs x {dim}, {folds} folds", "ms", measure, goals),
        Case("verification", images, "ms", measure_all, [Goal(LOOP_OVER_IMAGES, ALL_PAIRS)]),
    ]


def random_pairs(pairs: int, dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw left and right embeddings, and whether a pair is the same person. Every other pair is; its right side is the
    left one plus noise."""
    generator = np.random.default_rng(0)
    left, right = generator.normal(size=(2, pairs, dim)).astype(np.float32)
    is_same = np.arange(pairs) % 2 == 0
    right[is_same] += left[is_same]
    return left, right, is_same


def loop_over_thresholds(left: np.ndarray, right: np.ndarray, is_same: np.ndarray, folds: int) -> np.ndarray:
    """Compute the accuracy of each fold by the published algorithm, written from its description.

    For each fold the features are centred on the mean of the other folds, and each of 20,001 thresholds is tried on the
    other folds' distances.
    """
    thresholds = np.arange(-10000, 10001) * 3.0 / 10000
    left, right = _unit(left), _unit(right)
    fold_of_pair, accuracies = np.arange(len(left)) // (len(left) / folds), np.empty(folds)
    for fold in range(folds):
        test, train = fold_of_pair == fold, fold_of_pair != fold
        mean = np.mean(np.concatenate((left[train], right[train])), axis=0)
        left, right = _unit(left - mean), _unit(right - mean)
        distances = np.sum(np.square(left - right), axis=1)
        tried = np.array([_accuracy(distances[train], is_same[train], threshold) for threshold in thresholds])
        accuracies[fold] = _accuracy(distances[test], is_same[test], float(np.mean(thresholds[tried == tried.max()])))
    return accuracies


def random_images(people: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw embeddings of five images per person, and the number of each one's person."""
    generator, person = np.random.default_rng(0), np.repeat(np.arange(people), 5)
    return generator.normal(size=(people, dim))[person] + generator.normal(size=(len(person), dim)), person


def loop_over_images(embeddings: np.ndarray, person: np.ndarray) -> dict[str, float]:
    """Compute the FNMR at each FMR that the pairs resolve as one would write it first: each image is compared with the
    later ones, and all similarities are kept and sorted."""
    rows = _unit(embeddings).astype(np.float32)
    mated, non_mated = [], []
    for index, row in enumerate(rows):
        similarities, same = rows[index + 1 :] @ row, person[index + 1 :] == person[index]
        mated.append(similarities[same])
        non_mated.append(similarities[~same])
    of_one, of_two = np.concatenate(mated), np.sort(np.concatenate(non_mated))[::-1]
    numbers = {key: int(fmr * len(of_two)) for key, fmr in FMRS.items()}
    return {key: float(np.mean(of_one <= of_two[number])) for key, number in numbers.items() if number}


def _accuracy(distances: np.ndarray, is_same: np.ndarray, threshold: float) -> float:
    accepted = np.count_nonzero(distances[is_same] < threshold)
    rejected = np.count_nonzero(distances[~is_same] > threshold)
    return (accepted + rejected) / len(distances)


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.sqrt(np.sum(np.square(features), axis=1))[:, None]


def _measure(pairs: int, dim: int, folds: int, effort: Effort) -> Rounds:
    left, right, is_same = random_pairs(pairs, dim)
    contenders = {
        OURS: lambda: verify(left, right, is_same, "tvconv_reference", folds),
        OURS_EXACT: lambda: verify(left, right, is_same, "tvconv", folds),
        LOOP: lambda: loop_over_thresholds(left, right, is_same, folds),
    }
    return milliseconds(alternate(contenders, effort))


def _measure_all_pairs(people: int, dim: int, effort: Effort) -> Rounds:
    embeddings, person = random_images(people, dim)
    contenders = {
        ALL_PAIRS: lambda: operating_points(compare_all(embeddings, person)),
        LOOP_OVER_IMAGES: lambda: loop_over_images(embeddings, person),
    }
    return milliseconds(alternate(contenders, effort))
