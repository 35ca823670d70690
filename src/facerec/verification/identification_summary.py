"""Means, standard deviations and 95 % intervals of the rates of `identification`, and gaps between groups."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facerec.verification.all_pairs import allowed_false_matches
from facerec.verification.gaps import gap_interval
from facerec.verification.identification import FPIRS, RANKS, Draw, Rates
from facerec.verification.identification_intervals import Estimate, of_fnir, of_rank

Estimates = dict[str, dict[str, Estimate]]


def summary(draws: Sequence[Draw]) -> dict[str, object]:
    """Return means and standard deviations (ddof 1) over the draws, for `json.dump`, and why an FNIR is missing.

    The rates of mated probes have their 95 % intervals, or ``no_interval``, the reason. With groups, ``gap`` is the
    largest minus the smallest mean over the groups that have one, with the interval of `gaps.gap_interval`.
    """
    least = min(draw.all.non_mated for draw in draws)
    everyone = _over_draws([draw.all for draw in draws])
    found = {"draws": len(draws), "gallery": draws[0].gallery, **_with_intervals(everyone, _estimates(draws, None))}
    found["refused"] = {
        key: f"FPIR {fpir:g} cannot be resolved with {least} non-mated probes, one of them being {1 / least:.2g}: "
        f"bring images of at least {int(np.ceil(1 / fpir))} people with one image each"
        for key, fpir in FPIRS.items()
        if not allowed_false_matches(fpir, least)
    }
    names = sorted({name for draw in draws for name in draw.groups})
    if names:
        groups = {name: _over_draws([draw.groups[name] for draw in draws if name in draw.groups]) for name in names}
        estimates = {name: _estimates(draws, name) for name in names}
        for name in names:
            _with_intervals(groups[name], estimates[name])
        found |= {"groups": groups, "gap": _gaps(groups, estimates)}
    return found


def _estimates(draws: Sequence[Draw], group: str | None) -> Estimates:
    resolved = [key for key in FPIRS if all(key in draw.thresholds for draw in draws)]
    return {
        "rank": {str(rank): of_rank(draws, rank, group) for rank in RANKS},
        "fnir_at_fpir": {key: of_fnir(draws, key, group) for key in resolved},
    }


def _with_intervals(found: dict[str, Any], estimates: Estimates) -> dict[str, Any]:
    for kind, by_key in estimates.items():
        for key, estimate in by_key.items():
            found[kind][key]["interval"] = None if estimate.interval is None else list(estimate.interval)
            found[kind][key] |= {"no_interval": estimate.reason} if estimate.reason else {}
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


def _gaps(groups: Mapping[str, dict[str, Any]], estimates: Mapping[str, Estimates]) -> dict[str, dict[str, Any]]:
    gaps: dict[str, dict[str, Any]] = {}
    for kind in ("rank", "fnir_at_fpir", "fpir"):
        gaps[kind] = {}
        for key in next(iter(groups.values()))[kind]:
            there = [name for name, of in groups.items() if of[kind][key]["mean"] is not None]
            means = [groups[name][kind][key]["mean"] for name in there]
            gaps[kind][key] = max(means) - min(means) if len(means) > 1 else None
            if kind != "fpir":
                interval, reason = _gap_interval({name: estimates[name][kind][key] for name in there})
                gaps.setdefault(f"{kind}_interval", {})[key] = interval
                if reason:
                    gaps.setdefault(f"{kind}_no_interval", {})[key] = reason
    return gaps


def _gap_interval(groups: Mapping[str, Estimate]) -> tuple[list[float] | None, str]:
    """Return the interval of the gap, or the reason why there is none."""
    if len(groups) < 2:
        return None, "fewer than two groups have a mated probe"
    for name, estimate in groups.items():
        if estimate.reason:
            return None, f"group {name}: {estimate.reason}"
    return list(gap_interval([estimate.rate for estimate in groups.values() if estimate.rate is not None])), ""


def _spread(values: Sequence[float]) -> dict[str, Any]:
    """Return mean and standard deviation of the values that are not NaN."""
    there = [value for value in values if value == value]
    return {
        "mean": float(np.mean(there)) if there else None,
        "std": float(np.std(there, ddof=1)) if len(there) > 1 else None,
    }
