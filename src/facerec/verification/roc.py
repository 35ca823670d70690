"""Metrics over all thresholds for the distances of verification pairs: ROC, equal error rate, TAR at a FAR.

A score is a squared distance; a pair is accepted as the same person if ``score < threshold``. FAR, the false accept
rate, is the fraction of different-person pairs that are accepted (the ROC's false positive rate), and TAR, the true
accept rate, is that of same-person pairs.
"""

from math import ceil

import numpy as np
from numpy.typing import ArrayLike
from sklearn import metrics

FARS = {"1e-1": 1e-1, "1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4}


def roc_curve(scores: np.ndarray, is_same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates, rising together from (0, 0) to (1, 1), without points between corners."""
    fpr, tpr, _ = metrics.roc_curve(is_same, -scores)
    return fpr, tpr


def equal_error_rate(fpr: np.ndarray, tpr: np.ndarray) -> float:
    """Return the rate at which false accept and false reject rate are equal, interpolating the ROC linearly."""
    false_reject_rate = 1 - tpr
    return float(np.interp(0.0, fpr - false_reject_rate, fpr))


def tar_at_far(scores: ArrayLike, is_same: ArrayLike, far: float) -> float:
    """Return the largest TAR of any threshold whose FAR is at most ``far``, without interpolation.

    ``scores`` and ``is_same`` are ``(P,)``. Raises `ValueError` if even a single false accept among the
    different-person pairs exceeds ``far``.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1 or np.isnan(scores).any():
        got = f"{np.isnan(scores).sum()} NaN" if scores.ndim == 1 else f"shape {scores.shape}"
        raise ValueError(f"scores must hold one distance per pair, without NaN, got {got}: pass a result's scores")
    is_same = checked_is_same(is_same, len(scores))
    different = np.sort(scores[~is_same])
    num_accepts = _num_false_accepts(far, len(different))
    # As "<" is strict, this threshold accepts the num_accepts different-person pairs below it, or fewer where some tie.
    threshold = different[num_accepts] if num_accepts < len(different) else np.inf
    return float(np.mean(scores[is_same] < threshold))


def tar_at_fars(scores: np.ndarray, is_same: np.ndarray) -> tuple[dict[float, float], dict[float, str]]:
    """Return the TAR at each of `FARS` that the pairs can resolve, and the reason for each FAR that they cannot."""
    resolved, refused = {}, {}
    for far in FARS.values():
        try:
            resolved[far] = tar_at_far(scores, is_same, far)
        except ValueError as error:
            refused[far] = str(error)
    return resolved, refused


def checked_is_same(is_same: ArrayLike, num_pairs: int) -> np.ndarray:
    """Return ``is_same`` as bool ``(num_pairs,)``; raise `ValueError` unless it has both True (1) and False (0)."""
    flags = np.asarray(is_same)
    if flags.shape != (num_pairs,):
        raise ValueError(f"is_same has shape {flags.shape}, but there are {num_pairs} pairs: pass one flag per pair")
    if not num_pairs:
        raise ValueError("there are 0 pairs: bring same-person and different-person pairs")
    values = np.unique(flags).tolist()
    if flags.dtype.kind not in "biuf" or not set(values) <= {0, 1}:
        listed = ", ".join([*map(str, values[:3]), *(["..."] if len(values) > 3 else [])])
        raise ValueError(f"is_same holds {listed} instead of True and False: if its flags are 1 and -1, pass flags > 0")
    if len(values) < 2:
        kind, missing = ("same-person", "different-person") if values[0] else ("different-person", "same-person")
        raise ValueError(f"is_same holds {num_pairs} {kind} pairs and nothing else: add {missing} pairs")
    return flags.astype(bool)


def _num_false_accepts(far: float, num_different: int) -> int:
    """Return the largest number of false accepts whose rate is at most ``far``."""
    if not 0 < far <= 1:
        raise ValueError(f"far must be above 0 and at most 1, got {far}: pass a rate such as 1e-3")
    rates = np.arange(num_different + 1) / num_different
    num_accepts = int(np.searchsorted(rates, far, side="right")) - 1
    if num_accepts == 0:
        raise ValueError(
            f"FAR {far:g} cannot be resolved with {num_different} different-person pairs, of which one is already "
            f"{1 / num_different:.2g}: ask for a larger FAR or bring at least {ceil(1 / far)} such pairs"
        )
    return num_accepts
