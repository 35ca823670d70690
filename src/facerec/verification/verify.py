"""Verification accuracy of pairs of embeddings under a named protocol.

Every protocol cuts the pairs, in their order, into contiguous folds, chooses a distance threshold on all folds but one
and counts the correct decisions on that one. Protocols differ in everything else, so their accuracies are not
comparable, and every reported number carries its protocol's name.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn import metrics

from facerec.verification.dependence import PairPeople
from facerec.verification.headline import Headline
from facerec.verification.intervals import Interval, accuracy_terms, accuracy_variance, tar_interval, wilson
from facerec.verification.protocols import PROTOCOLS, contiguous_folds, decision_distances, run_folds
from facerec.verification.roc import FARS, checked_is_same, equal_error_rate, roc_curve, tar_at_far, tar_at_fars

__all__ = ["PROTOCOLS", "VerificationResult", "check_pairs", "folds_of_one_kind", "same_person", "tar_at_far", "verify"]
NUM_FOLDS = 10  # as in LFW's protocol


@dataclass(frozen=True, eq=False)
class VerificationResult:
    """The metrics of one benchmark. All rates are fractions in [0, 1]; ``accuracy`` and ``std`` (ddof 0) are over the
    folds.

    ``thresholds`` ``(num_folds,)`` apply to what ``decision`` says, after ``centres`` ``(num_folds, D)``, None if the
    protocol does not centre; `same_person` decides with them.
    ``scores`` ``(P,)`` are squared distances, each computed when the pair's fold was tested, ``folds`` ``(P,)``, and
    ``correct`` ``(P,)`` is whether the pair was decided correctly then; ``people`` are those in the pairs, None if
    `verify` was not told. ``auc``, ``eer`` and
    ``tar_at_far`` pool them. ``tar_at_far`` maps a FAR to its TAR; ``refused`` maps a FAR that cannot be resolved with
    so few pairs to the reason.
    """

    protocol: str
    num_pairs: int
    num_folds: int
    accuracy: float
    std: float
    thresholds: np.ndarray
    centres: np.ndarray | None
    fold_accuracies: np.ndarray
    scores: np.ndarray
    correct: np.ndarray
    folds: np.ndarray
    is_same: np.ndarray
    people: PairPeople | None
    auc: float
    eer: float
    tar_at_far: dict[float, float]
    refused: dict[float, str]

    def roc(self) -> tuple[np.ndarray, np.ndarray]:
        """Return false and true positive rates of the pooled scores, rising from (0, 0) to (1, 1)."""
        return roc_curve(self.scores, self.is_same)

    def centres_of(self, fold: int) -> np.ndarray:
        """Return what `same_person` subtracts in a fold, ``(K, D)``, from 0: nothing, its centre, or several."""
        if self.centres is None:
            return np.zeros((0, 1))
        return self.centres[0 if PROTOCOLS[self.protocol].centring_adds_up else fold : fold + 1]

    @property
    def headline(self) -> Headline:
        """The accuracy, a mean over folds."""
        return Headline("accuracy", self.accuracy, self.std, self.num_folds, "folds", self.protocol)

    def accuracy_error(self) -> float | None:
        """Return the standard error of the accuracy over pairs that share people; None without ``people``."""
        if self.people is None:
            return None
        return float(np.sqrt(accuracy_variance(accuracy_terms(self.correct, self.folds)[1], self.people)))

    def accuracy_interval(self) -> Interval | None:
        """Return the 95 % interval of the accuracy over pairs that share people; None without ``people``."""
        error = self.accuracy_error()
        if error is None or self.people is None:
            return None
        return wilson(self.accuracy, error**2, self.people.num_people)

    def tar_intervals(self) -> dict[float, Interval]:
        """Return the 95 % intervals of ``tar_at_far``, of the FARs that have enough false accepts for one."""
        if self.people is None:
            return {}
        found = {far: tar_interval(self.scores, self.is_same, far, self.people) for far in self.tar_at_far}
        return {far: interval for far, interval in found.items() if interval is not None}

    def summary(self) -> dict[str, object]:
        """Return everything but the values per pair, for `json.dump`, with FARs as strings from ``"1e-1"`` to
        ``"1e-4"``."""
        intervals = self.tar_intervals()
        return {
            "protocol": self.protocol,
            "num_pairs": self.num_pairs,
            "accuracy": self.accuracy,
            "accuracy_error": self.accuracy_error(),
            "accuracy_interval": _listed(self.accuracy_interval()),
            "std": self.std,
            "thresholds": self.thresholds.tolist(),
            "decision": PROTOCOLS[self.protocol].decision,
            "fold_accuracies": self.fold_accuracies.tolist(),
            "auc": self.auc,
            "eer": self.eer,
            "tar_at_far": {key: self.tar_at_far[far] for key, far in FARS.items() if far in self.tar_at_far},
            "tar_intervals": {key: list(intervals[far]) for key, far in FARS.items() if far in intervals},
            "num_people": None if self.people is None else self.people.num_people,
            "people_known": self.people is not None and self.people.known,
            "refused": {key: self.refused[far] for key, far in FARS.items() if far in self.refused},
        }


def _listed(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)


def verify(
    left: ArrayLike | torch.Tensor,
    right: ArrayLike | torch.Tensor,
    is_same: ArrayLike | torch.Tensor,
    protocol: str = "tvconv",
    num_folds: int = NUM_FOLDS,
    people: PairPeople | None = None,
) -> VerificationResult:
    """Verify P pairs of embeddings, ``left`` and ``right`` ``(P, D)``, ``is_same`` ``(P,)``, in the benchmark's order.

    Intervals need the ``people`` of the pairs, as `Benchmark.people_of_pairs` returns them.
    The embeddings are the network's outputs, not normalised; if the protocol sums flips, they are those sums. Identical
    embeddings score at chance level, except that "tvconv_reference" gives 0, because ties are errors there. Raises
    `ValueError` with the reason if the pairs cannot be verified.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}")
    left, right = _checked_features(left, right)
    is_same = checked_is_same(is_same, len(left))
    check_pairs(is_same, num_folds)
    done = run_folds(PROTOCOLS[protocol], left, right, is_same, num_folds)
    fpr, tpr = roc_curve(done.scores, is_same)
    resolved, refused = tar_at_fars(done.scores, is_same)
    return VerificationResult(
        protocol=protocol,
        num_pairs=len(is_same),
        num_folds=num_folds,
        accuracy=float(np.mean(done.accuracies)),
        std=float(np.std(done.accuracies)),
        thresholds=done.thresholds,
        centres=done.centres,
        fold_accuracies=done.accuracies,
        scores=done.scores,
        correct=done.correct,
        folds=done.folds,
        is_same=is_same,
        people=people,
        auc=float(metrics.auc(fpr, tpr)),
        eer=equal_error_rate(fpr, tpr),
        tar_at_far=resolved,
        refused=refused,
    )


def same_person(
    left: ArrayLike | torch.Tensor,
    right: ArrayLike | torch.Tensor,
    threshold: float,
    centres: ArrayLike = (),
    protocol: str = "tvconv",
) -> np.ndarray:
    """Decide P pairs of embeddings, ``(P, D)`` as in `verify`, as a fold does; returns bool ``(P,)``.

    ``threshold`` is the fold's, ``centres`` ``(K, D)`` is `VerificationResult.centres_of` it. Raises `ValueError` for
    embeddings that cannot be compared.
    """
    left, right = _checked_features(left, right)
    return decision_distances(PROTOCOLS[protocol], left, right, np.asarray(centres)) < threshold


def _checked_features(left: ArrayLike | torch.Tensor, right: ArrayLike | torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides as float64 ``(P, D)``; raise `ValueError` unless every row is finite and not zero."""
    left, right = _as_float64(left, "left"), _as_float64(right, "right")
    if left.shape != right.shape or left.ndim != 2:
        raise ValueError(f"left has shape {left.shape} and right {right.shape}: pass both as (pairs, embedding_dim)")
    lengths = np.sqrt([np.einsum("pd,pd->p", side, side) for side in (left, right)]).T
    _refuse_first(~np.isfinite(lengths), "a NaN or infinite", "look for overflow (learning rate, half precision)")
    _refuse_first(lengths == 0, "an all-zero", "it has no direction to compare, so look for a dead last layer")
    return left, right


def _as_float64(features: ArrayLike | torch.Tensor, side: str) -> np.ndarray:
    if isinstance(features, torch.Tensor):
        features = features.detach().cpu()
        features = (features if features.is_complex() else features.double()).numpy()
    try:
        # Contiguous, because the last digit of sums, and thus ties between distances, depend on the memory layout.
        return np.ascontiguousarray(np.asarray(features).astype(np.float64, casting="same_kind", copy=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{side} holds no real numbers ({error}): pass (pairs, embedding_dim) of them") from error


def _refuse_first(is_bad: np.ndarray, what: str, remedy: str) -> None:
    if is_bad.any():
        pair, side = np.argwhere(is_bad)[0]
        raise ValueError(f"pair {pair} has {what} {('left', 'right')[side]} embedding: {remedy}")


def check_pairs(is_same: ArrayLike, num_folds: int = NUM_FOLDS) -> None:
    """Raise `ValueError` with the reason if pairs with these answers ``(P,)`` cannot be verified in ``num_folds``."""
    num_pairs = len(checked_is_same(is_same, len(np.asarray(is_same))))
    if num_folds < 2:
        raise ValueError(
            f"num_folds must be at least 2, got {num_folds}: one fold is tested with the others' threshold"
        )
    if num_pairs < num_folds:
        raise ValueError(f"{num_pairs} pairs cannot fill {num_folds} folds: bring more pairs")


def folds_of_one_kind(is_same: np.ndarray, num_folds: int = NUM_FOLDS) -> list[int]:
    """Return the ascending numbers of the contiguous folds that have same-person or different-person pairs only."""
    folds = contiguous_folds(len(is_same), num_folds)
    return [fold for fold in range(num_folds) if len(np.unique(is_same[folds == fold])) < 2]
