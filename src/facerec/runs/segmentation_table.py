"""Table 1 of the TVConv paper (arXiv 2203.10489): a row for each metric and domain, a column for each network."""

import json
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np

from facerec.errors import InputError
from facerec.runs.chosen_epoch import gain_of, gain_sentence
from facerec.runs.differences import Run
from facerec.runs.mask_metric import MaskMetric
from facerec.runs.mean_accuracy import Checkpoint
from facerec.runs.run_names import run_names
from facerec.runs.table_formats import Estimate, Row
from facerec.segmentation.mask_protocols import PROTOCOLS
from facerec.training.older_settings import written
from facerec.verification.intervals import Interval

FLOOR = "constant mask"
_Cells = Mapping[str, Mapping[str, list[Run]]]  # runs with several seeds, by network and unseen domain


def segmentation_rows(found: Sequence[list[Run]]) -> list[Row]:
    """Return the rows of ``found``, lists of runs that differ in the seed only.

    Numbers are means over seeds, with their standard deviation where there are several, and with 95 % intervals over
    seeds and images. The first rows are of the epoch that the protocol reports, the others beside it.
    """
    cells = _by_network(found)
    domains = list(dict.fromkeys(domain for of in cells.values() for domain in of))
    first = found[0][0].results
    protocol = PROTOCOLS[first.protocol]
    rows = []
    for checkpoint in ("best", "last"):
        for kind in protocol.columns:
            metric = MaskMetric(kind)
            rows += [_row(cells, domain, checkpoint, metric) for domain in domains]
            rows += [_mean_row(cells, domains, checkpoint, metric)] if len(domains) > 1 else []
    return rows


def unseen_of(run: Run) -> str:
    """Return the domain that a run has not seen."""
    return str(run.results.config["data"].get("unseen"))


def _by_network(found: Sequence[list[Run]]) -> _Cells:
    networks: dict[str, list[list[Run]]] = {}
    for runs in found:
        networks.setdefault(_network_key(runs[0]), []).append(runs)
    names = run_names([_without_domain(groups[0][0].results.config) for groups in networks.values()])
    return {
        name: {unseen_of(runs[0]): runs for runs in groups}
        for name, groups in zip(names, networks.values(), strict=True)
    }


def _network_key(run: Run) -> str:
    config = written(_without_domain(run.results.config) | {"seed": 0})
    return json.dumps([config, run.results.protocol], sort_keys=True)


def _without_domain(config: dict[str, Any]) -> dict[str, Any]:
    data = {key: value for key, value in config["data"].items() if key not in ("unseen", "seed")}
    return config | {"data": data}


def _row(cells: _Cells, domain: str, checkpoint: Checkpoint, metric: MaskMetric) -> Row:
    of_domain = {name: of[domain] for name, of in cells.items() if domain in of}
    some = next(iter(of_domain.values()))
    floor = _number(_summary(some[0], checkpoint, domain), metric.kind)["floor"]
    columns = {name: _estimate(runs, checkpoint, domain, metric) for name, runs in of_domain.items()}
    return {**_head(metric, domain, checkpoint), FLOOR: f"{metric.factor * floor:.2f}", **columns}


def _mean_row(cells: _Cells, domains: Sequence[str], checkpoint: Checkpoint, metric: MaskMetric) -> Row:
    """Return the mean over the domains of those networks that were evaluated on all."""
    row, floors = _head(metric, "mean", checkpoint), []
    for name, of in cells.items():
        if all(domain in of for domain in domains):
            means = [_mean(of[domain], checkpoint, domain, metric.kind) for domain in domains]
            row[name] = f"{metric.factor * mean(means):.2f}"
            floors = [_number(_summary(of[d][0], checkpoint, d), metric.kind)["floor"] for d in domains]
    return {**row, FLOOR: f"{metric.factor * mean(floors):.2f}"} if floors else row


def _head(metric: MaskMetric, domain: str, checkpoint: Checkpoint) -> Row:
    return {"metric": metric.heading, "unseen domain": domain, "epoch": checkpoint}


def _summary(run: Run, checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    return getattr(run.results, checkpoint)["benchmarks"][name]


def _number(summary: Mapping[str, Any], kind: str) -> dict[str, Any]:
    try:
        return {"mean": float(summary["numbers"][kind]["mean"]), **summary["numbers"][kind]}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the results of a run have no {kind} ({error}): remove them and run it again") from error


def _mean(runs: Sequence[Run], checkpoint: Checkpoint, name: str, kind: str) -> float:
    return mean(_number(_summary(run, checkpoint, name), kind)["mean"] for run in runs)


def _estimate(runs: Sequence[Run], checkpoint: Checkpoint, name: str, metric: MaskMetric) -> Estimate:
    found = [_number(_summary(run, checkpoint, name), metric.kind) for run in runs]
    means = [number["mean"] for number in found]
    spread = stdev(means) if len(means) > 1 else None
    interval = found[0]["interval"] if len(found) == 1 else _over_seeds(runs, checkpoint, name, metric)
    return Estimate(mean(means), interval and Interval(*interval), factor=metric.factor, spread=spread)


def _over_seeds(runs: Sequence[Run], checkpoint: Checkpoint, name: str, metric: MaskMetric) -> Interval | None:
    """Return the interval over seeds and images, or None where the files of scores are missing."""
    try:
        kept = [metric.kept(run, checkpoint)[name] for run in runs]
    except (InputError, KeyError):
        return None
    if any(not np.array_equal(each.images, kept[0].images) for each in kept):
        return None
    return metric.interval(kept)


def segmentation_notes(found: Sequence[list[Run]]) -> list[str]:
    """Return sentences on the protocol and on the cost of each network."""
    protocol = PROTOCOLS[found[0][0].results.protocol]
    said = [f"protocol {protocol.name}: {protocol.description}"]
    if protocol.best_epoch_on == "unseen":
        said.append("the best epoch was chosen on the images on which it is reported, and looks better than it is")
    elif sentence := gain_sentence(gain_of(run, unseen_of(run)) for runs in found for run in runs):
        said.append(sentence)
    for name, of in _by_network(found).items():
        run = next(iter(of.values()))[0].results
        cost = run.cost
        said.append(
            f"{name}: {cost['macs_core'] / 1e6:.1f} M multiply-adds, {cost['params'] / 1e6:.3f} M parameters, "
            f"{cost['params_deployed'] / 1e6:.3f} M deployed, {cost['weight_map_elements'] / 1e6:.3f} M in maps; "
            f"seeds: {len(next(iter(of.values())))}"
        )
    return said
