"""The error rates of a network at any threshold, as measured on one set of images and kept with the network's file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from facerec.verification.all_pairs import STEPS, AllPairs
from facerec.verification.groups import rates_at
from facerec.verification.match_rates import DECISION, OperatingPoint, operating_points

_CURVE_POINTS = 200
_NUMBERS = ("cosine_threshold", "squared_distance_threshold", "fmr", "fnmr", "false_matches")


@dataclass(frozen=True, eq=False)
class ErrorRates:
    """FMR and FNMR of decisions by the cosine of two embeddings.

    Attributes:
        chosen_on: the set of images: ``name``, ``fingerprint``, ``images``, ``people``, ``mated_pairs`` and
            ``non_mated_pairs``.
        at_fmr: for FMRs such as ``"1e-3"``, ``cosine_threshold``, ``fnmr`` and their intervals, as
            `OperatingPoint.summary` has them.
        refused: for the other FMRs, why there is no threshold.
        curve: ``(K, 3)``, cosines in ascending order with the FMR and the FNMR of each as a threshold.
    """

    chosen_on: Mapping[str, Any]
    at_fmr: Mapping[str, Mapping[str, Any]]
    refused: Mapping[str, str]
    curve: np.ndarray

    @classmethod
    def of(cls, pairs: AllPairs, chosen_on: Mapping[str, Any]) -> "ErrorRates":
        """Return the rates of all ``pairs`` of the images that ``chosen_on`` describes."""
        points, refused = operating_points(pairs)
        numbers = {"mated_pairs": pairs.num_mated, "non_mated_pairs": pairs.num_non_mated}
        at_fmr = {key: _with_interval_of_fmr(pairs, point) for key, point in points.items()}
        return cls({**chosen_on, **numbers}, at_fmr, refused, _curve(pairs, [point.step for point in points.values()]))

    def at(self, cosine: float) -> tuple[float, float]:
        """Return FMR and FNMR at the threshold ``cosine``, interpolated between the points of the curve."""
        thresholds, fmr, fnmr = self.curve.T
        return float(np.interp(cosine, thresholds, fmr)), float(np.interp(cosine, thresholds, fnmr))

    def threshold(self, fmr: str) -> float:
        """Return the cosine above which pairs are accepted at an ``fmr`` such as ``"1e-3"``; `ValueError` with the
        reason if the images do not tell."""
        if fmr not in self.at_fmr:
            raise ValueError(self.refused.get(fmr, f"FMR {fmr} was not measured"))
        return float(self.at_fmr[fmr]["cosine_threshold"])

    def to_json(self) -> str:
        """Return the text that `from_json` reads, of about 6 kB."""
        curve = [[round(cosine, 7), float(f"{fmr:.4g}"), round(fnmr, 6)] for cosine, fmr, fnmr in self.curve.tolist()]
        described = {"chosen_on": self.chosen_on, "decision": DECISION, "at_fmr": self.at_fmr, "refused": self.refused}
        return json.dumps(described | {"curve": curve})

    @classmethod
    def from_json(cls, text: str) -> "ErrorRates":
        """Return the rates in ``text``; `ValueError` if it holds something else."""
        content = json.loads(text)
        try:
            rates = cls(
                dict(content["chosen_on"]),
                {str(key): {**point} for key, point in content["at_fmr"].items()},
                {str(key): str(reason) for key, reason in content["refused"].items()},
                np.array(content["curve"], np.float64),
            )
            numbers = [float(point[key]) for point in rates.at_fmr.values() for key in _NUMBERS]
            numbers += [int(rates.chosen_on[key]) for key in ("images", "people", "mated_pairs", "non_mated_pairs")]
            if not isinstance(rates.chosen_on["name"], str) or rates.chosen_on["non_mated_pairs"] < 1:
                raise ValueError("the error rates do not say on which pairs they were measured")
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"the error rates lack a part: {error}") from error
        columns = rates.curve.T
        if columns.shape[:1] != (3,) or not np.isfinite([*columns.ravel(), *numbers]).all():
            raise ValueError("the error rates are no cosines with an FMR and an FNMR")
        if (np.diff(columns[0]) <= 0).any() or columns[1:].min() < 0 or columns[1:].max() > 1:
            raise ValueError("the error rates are not in order of the cosine, or not between 0 and 1")
        return rates


def _with_interval_of_fmr(pairs: AllPairs, point: OperatingPoint) -> dict[str, Any]:
    """Return the point's summary with the FMR at its threshold, taken as given, and the 95 % interval."""
    found = rates_at(pairs, point.step)[0].fmr
    assert found is not None  # the point is at most at the FMR up to which pairs are kept one by one
    return {"fmr": found.rate, "fmr_interval": list(found.interval), **point.summary()}


def _curve(pairs: AllPairs, also: list[int]) -> np.ndarray:
    """Return `ErrorRates.curve` at FMRs in equal ratios, at FNMRs in equal distances, and at steps ``also``."""
    half = _CURVE_POINTS // 2
    ranks = np.geomspace(1, pairs.num_non_mated, half).astype(np.int64) - 1
    places = np.linspace(0, pairs.num_mated - 1, half).astype(np.int64)
    steps = {*map(pairs.nth_similar, ranks.tolist()), *pairs.ranked_mated[places].tolist(), *also, -STEPS - 1}
    rows = [[step / STEPS, pairs.false_matches(step) / pairs.num_non_mated, pairs.fnmr(step)] for step in sorted(steps)]
    return np.array(rows)
