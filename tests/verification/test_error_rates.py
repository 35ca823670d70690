"""The rates that go with a network's file: by hand from all pairs, and back from their text."""

import json
from itertools import combinations

import numpy as np
import pytest
from says import refuses, says

from facerec.verification.all_pairs import compare_all
from facerec.verification.error_rates import ErrorRates

PEOPLE = np.repeat(np.arange(60), 3)


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(60, 16))[PEOPLE] + 0.7 * rng.normal(size=(180, 16))).astype(np.float32)


@pytest.fixture(scope="module")
def rates(embeddings) -> ErrorRates:
    return ErrorRates.of(compare_all(embeddings, PEOPLE), {"name": "drawn", "images": 180, "people": 60})


def by_hand(embeddings, threshold: float) -> tuple[float, float]:
    """FMR and FNMR by a double loop, of cosines rounded as those that thresholds are chosen from."""
    rows = embeddings.astype(float) / np.linalg.norm(embeddings.astype(float), axis=1, keepdims=True)
    accepted = {True: [], False: []}
    for i, j in combinations(range(len(rows)), 2):
        accepted[bool(PEOPLE[i] == PEOPLE[j])].append(round(rows[i] @ rows[j] * 2**21) / 2**21 > threshold)
    return float(np.mean(accepted[False])), 1 - float(np.mean(accepted[True]))


def test_the_threshold_of_an_fmr_has_that_fmr(rates, embeddings):
    fmr, fnmr = by_hand(embeddings, rates.threshold("1e-2"))
    point = rates.at_fmr["1e-2"]
    assert (point["fmr"], point["fnmr"]) == pytest.approx((fmr, fnmr)) and 0.009 < fmr <= 0.01
    for kind, name in (("fmr", "fmr_interval"), ("fnmr", "interval")):
        low, high = point[name]
        assert low < point[kind] < high
    assert rates.chosen_on["mated_pairs"] == 180 and rates.chosen_on["non_mated_pairs"] == 180 * 179 // 2 - 180


@pytest.mark.parametrize("threshold", [-0.9, -0.2, 0.0, 0.15, 0.3, 0.5, 0.72, 0.9, 1.0])
def test_both_rates_at_any_threshold(threshold, rates, embeddings):
    fmr, fnmr = by_hand(embeddings, threshold)
    found = rates.at(threshold)
    assert found[0] == pytest.approx(fmr, rel=0.1, abs=2e-4) and found[1] == pytest.approx(fnmr, abs=0.02)
    assert len(rates.curve) <= 210


def test_an_fmr_that_the_pairs_cannot_resolve_has_the_reason(rates):
    with refuses("1e-05", "15930 non-mated pairs"):
        rates.threshold("1e-5")
    with refuses("1e-9", "not measured"):
        rates.threshold("1e-9")


def test_they_come_back_from_their_text(rates):
    text = rates.to_json()
    back = ErrorRates.from_json(text)
    assert len(text) < 10_000 and says(json.loads(text)["decision"], "cosine", "nothing is subtracted")
    assert back.threshold("1e-3") == rates.threshold("1e-3") and back.refused == rates.refused
    for threshold in (-0.5, 0.1, 0.4, 0.8):
        assert back.at(threshold) == pytest.approx(rates.at(threshold), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"curve": []},
        {"curve": [[0.1, 0.5, 0.5], [0.1, 0.4, 0.6]]},
        {"curve": [[0.1, 2, 0.5]]},
        {"curve": [[0.1, float("nan"), 0.5]]},
        {"curve": [[0.1, 0.5]]},
        {"curve": "text"},
        {"at_fmr": {"1e-3": {}}},
        {"at_fmr": {"1e-3": {"cosine_threshold": float("inf")}}},
        {"at_fmr": 3},
        {"chosen_on": None},
        {"chosen_on": {"name": "drawn", "images": 2, "people": 2, "mated_pairs": 1, "non_mated_pairs": 0}},
    ],
)
def test_a_text_of_somebody_elses_is_refused(change, rates):
    content = {**json.loads(rates.to_json()), **change}
    with pytest.raises(ValueError):
        ErrorRates.from_json(json.dumps(content))
    with pytest.raises(ValueError):
        ErrorRates.from_json("no JSON")
