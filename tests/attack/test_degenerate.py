"""Pairs, data and settings at the edge of what can be verified and trained: a sentence, or numbers that are right."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from attack_row import Row

from facerec.verification.protocols import PROTOCOLS
from facerec.verification.verify import VerificationResult, verify

RNG = np.random.default_rng(0)
LEFT, RIGHT = RNG.normal(size=(2, 40, 8))
SAME = np.arange(40) % 2 == 0
ALIKE = np.ones((40, 8))
AXES = np.eye(8)[np.arange(40) % 8]
OTHER_AXES = np.where(SAME[:, None], AXES, np.roll(AXES, 1, axis=1))
USUAL, REFUSED, CHANCE = "as usual", "a sentence", {"tvconv": 0.5, "insightface": 0.5, "tvconv_reference": 0.0}


def with_value(value: float, places: Any = (3, 2)) -> np.ndarray:
    changed = LEFT.copy()
    changed[places] = value
    return changed


# left, right, is_same, and what is right: a sentence, the result of the usual pairs, an accuracy, or any of finite ones
PAIRS: dict[str, tuple[Any, Any, Any, Any]] = {
    "all alike": (ALIKE, ALIKE, SAME, CHANCE),
    "all alike, not of length 1": (0.3 * ALIKE, 7 * ALIKE, SAME, CHANCE),
    "a NaN": (with_value(np.nan), RIGHT, SAME, REFUSED),
    "NaN everywhere": (ALIKE * np.nan, ALIKE * np.nan, SAME, REFUSED),
    "an infinite number": (with_value(np.inf), RIGHT, SAME, REFUSED),
    "a negative infinite number": (with_value(-np.inf), RIGHT, SAME, REFUSED),
    "1e38": (LEFT * 1e38, RIGHT * 1e38, SAME, {"tvconv": USUAL, "insightface": USUAL, "tvconv_reference": REFUSED}),
    "1e-40": (LEFT * 1e-40, RIGHT * 1e-40, SAME, {"tvconv": USUAL, "insightface": USUAL, "tvconv_reference": REFUSED}),
    "1e200, whose square is infinite": (LEFT * 1e200, RIGHT, SAME, REFUSED),
    "1e-200, whose square is zero": (LEFT, RIGHT * 1e-200, SAME, REFUSED),
    "a row of zeros": (with_value(0, np.s_[3, :]), RIGHT, SAME, REFUSED),
    "one pair": (LEFT[:1], RIGHT[:1], SAME[:1], REFUSED),
    "no pair": (LEFT[:0], RIGHT[:0], SAME[:0], REFUSED),
    "9 pairs": (LEFT[:9], RIGHT[:9], SAME[:9], REFUSED),
    "10 pairs": (LEFT[:10], RIGHT[:10], SAME[:10], None),
    "same-person pairs only": (LEFT, RIGHT, SAME | True, REFUSED),
    "different-person pairs only": (LEFT, RIGHT, SAME & False, REFUSED),
    "one pair of the other kind": (LEFT, RIGHT, np.arange(40) == 0, None),
    "float16": (LEFT.astype(np.float16), RIGHT.astype(np.float16), SAME, USUAL),
    "a tensor in bfloat16": (torch.tensor(LEFT).bfloat16(), torch.tensor(RIGHT).bfloat16(), SAME, None),
    "lists": (LEFT.tolist(), RIGHT.tolist(), SAME.tolist(), USUAL),
    "in Fortran's order, backwards in memory": (np.asfortranarray(LEFT), RIGHT[:, ::-1][:, ::-1], SAME, USUAL),
    "integers": (np.sign(LEFT).astype(np.int8), np.sign(RIGHT).astype(np.int8), SAME, None),
    "each pair four times": (LEFT.repeat(4, 0), RIGHT.repeat(4, 0), SAME.repeat(4), USUAL),
    "the same pair forty times": (LEFT[:1].repeat(40, 0), RIGHT[:1].repeat(40, 0), SAME, 0.5),
    "people on axes of their own": (AXES, OTHER_AXES, SAME, 1.0),
    "opposite ones": (LEFT, -LEFT, SAME, None),
    "one dimension": (LEFT[:, :1], RIGHT[:, :1], SAME, None),
    "no dimension": (LEFT[:, :0], RIGHT[:, :0], SAME, REFUSED),
    "three axes": (LEFT[None], RIGHT[None], SAME, REFUSED),
    "a number": (1.0, 1.0, True, REFUSED),
    "nothing": (None, None, None, REFUSED),
    "words": (np.full((40, 8), "a"), RIGHT, SAME, REFUSED),
    "rows of several lengths": ([[1.0], [1.0, 2.0]] * 20, RIGHT, SAME, REFUSED),
    "complex numbers": (LEFT + 1j, RIGHT, SAME, REFUSED),
    "a complex tensor": (torch.tensor(LEFT + 1j), RIGHT, SAME, REFUSED),
    "sides of several lengths": (LEFT, RIGHT[:39], SAME, REFUSED),
    "sides of several dimensions": (LEFT, RIGHT[:, :7], SAME, REFUSED),
    "too few answers": (LEFT, RIGHT, SAME[:39], REFUSED),
    "answers in a column": (LEFT, RIGHT, SAME[:, None], REFUSED),
    "answers 1 and -1": (LEFT, RIGHT, np.where(SAME, 1, -1), REFUSED),
    "answers 1 and 0": (LEFT, RIGHT, SAME.astype(float), USUAL),
    "an answer that is NaN": (LEFT, RIGHT, np.where(np.arange(40) == 3, np.nan, SAME), REFUSED),
    "answers in words": (LEFT, RIGHT, np.where(SAME, "yes", "no"), REFUSED),
}


def test_pairs(row: Row) -> None:
    """verify() of degenerate pairs, by each protocol"""
    cases = [(name, protocol) for name in PAIRS for protocol in PROTOCOLS]
    for name, protocol in row.cases(cases, 40):
        left, right, is_same, right_answer = PAIRS[name]
        answer = right_answer[protocol] if isinstance(right_answer, dict) else right_answer
        with row.trial(f"{name}, {protocol}") as trial:
            try:
                result = verify(left, right, is_same, protocol)
            except ValueError as error:
                assert answer == REFUSED and "\n" not in str(error), error
                assert any(name in str(error) for name in ("pair", "left", "right", "is_same")), error
                trial.ending = "refused in a sentence"
                continue
            check_numbers(result, verify(LEFT, RIGHT, SAME, protocol).accuracy if answer == USUAL else answer)
            trial.ending = "numbers that are right" if answer is not None else "numbers in their range"


def check_numbers(result: VerificationResult, accuracy: float | str | None) -> None:
    json.dumps(result.summary(), allow_nan=False)
    rates = [result.accuracy, *result.fold_accuracies, result.auc, result.eer, *result.tar_at_far.values()]
    assert all(0 <= rate <= 1 for rate in rates), rates
    assert ((result.scores >= 0) & (result.scores <= 4 + 1e-6)).all()
    assert accuracy is None or result.accuracy == pytest.approx(accuracy), (result.accuracy, accuracy)
