"""Means and standard deviations over galleries of the rates of `identification`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from facerec.verification.all_pairs import allowed_false_matches
from facerec.verification.identification import FPIRS, RANKS, Draw, Rates


def summary(draws: Sequence[Draw]) -> dict[str, object]:
    """Return means and standard deviations (ddof 1) over the draws, for `json.dump`, and why an FNIR is missing.

    With groups, ``gap`` is the largest minus the smallest mean over the groups that have one.
    """
    least = min(draw.all.non_mated for draw in draws)
    found = {"draws": len(draws), "gallery": draws[0].gallery, **_over_draws([draw.all for draw in draws])}
    found["refused"] = {
        key: f"FPIR {fpir:g} cannot be resolved with {least} non-mated probes, one of them being {1 / least:.2g}: "
        f"bring images of at least {int(np.ceil(1 / fpir))} people with one image each"
        for key, fpir in FPIRS.items()
        if not allowed_false_matches(fpir, least)
    }
    names = sorted({name for draw in draws for name in draw.groups})
    if names:
        groups = {name: _over_draws([draw.groups[name] for draw in draws if name in draw.groups]) for name in names}
        found |= {"groups": groups, "gap": _gaps(list(groups.values()))}
    return found


def _over_draws(rates: Sequence[Rates]) -> dict[str, Any]:
    resolved = [key for key in FPIRS if all(key in of.fnir for of in rates)]
    return {
        "mated_probes": _spread([of.mated for of in rates]),
        "non_mated_probes": _spread([of.non_mated for of in rates]),
        "rank": {str(rank): _spread([of.rank[rank] for of in rates]) for rank in RANKS},
        "fnir_at_fpir": {key: _spread([of.fnir[key] for of in rates]) for key in resolved},
        "fpir": {key: _spread([of.fpir[key] for of in rates]) for key in resolved},
    }


def _gaps(groups: Sequence[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    gaps: dict[str, dict[str, float | None]] = {}
    for kind in ("rank", "fnir_at_fpir", "fpir"):
        gaps[kind] = {}
        for key in groups[0][kind]:
            means = [group[kind][key]["mean"] for group in groups if key in group[kind]]
            means = [mean for mean in means if mean is not None]
            gaps[kind][key] = max(means) - min(means) if len(means) > 1 else None
    return gaps


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    """Return mean and standard deviation of the values that are not NaN."""
    there = [value for value in values if value == value]
    return {
        "mean": float(np.mean(there)) if there else None,
        "std": float(np.std(there, ddof=1)) if len(there) > 1 else None,
    }
