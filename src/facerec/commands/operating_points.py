"""The part of evaluate that compares all images of a benchmark: error rates at operating points, identification."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facerec.console import log, terminal
from facerec.data.datamodule import FaceDataModule
from facerec.data.readers.image_groups import read_groups
from facerec.data.source import Benchmark
from facerec.errors import InputError
from facerec.plots.det import det_figure
from facerec.plots.network import refuse_no_figure, save_figure
from facerec.runs.table_formats import Row, terminal_table
from facerec.verification.all_pairs import AllPairs, compare_all
from facerec.verification.groups import applied_elsewhere, gap, rates_by_group
from facerec.verification.identification import FPIRS, RANKS, identify
from facerec.verification.identification_summary import summary as of_draws
from facerec.verification.match_rates import (
    DECISION,
    FMRS,
    OperatingPoint,
    det_points,
    operating_points,
)

Groups = dict[str, list[str | None]]
_DRAWS = 10  # if draws= is not given


@dataclass(frozen=True)
class Asked:
    """What is asked for, as in evaluate's settings."""

    all_pairs: bool
    identify: bool
    unlisted: bool
    groups: Path | None
    det: Path | None
    draws: int

    def __bool__(self) -> bool:
        return self.all_pairs or self.identify

    def refuse_useless(self) -> None:
        """Raise `InputError` for a setting that has no effect without another one."""
        if self.det is not None and not self.all_pairs:
            raise InputError(f"det={self.det} needs all pairs of images: add all_pairs=true")
        if self.groups is not None and not self:
            raise InputError(f"groups={self.groups} has nothing to divide: add all_pairs=true or identify=true")
        if not self.unlisted and not self:
            raise InputError("unlisted=false has no effect on pairs alone: add all_pairs=true or identify=true")
        if self.draws != _DRAWS and not self.identify:
            raise InputError(f"draws={self.draws} has no gallery to draw: add identify=true")
        if self.det is not None:
            refuse_no_figure(self.det)

    def read(self, data: FaceDataModule) -> Groups:
        """Return the groups of each benchmark's images; raise `InputError`, before anything is measured, for a wrong
        list and for a benchmark without people."""
        for benchmark in data.opened_benchmarks if self else ():
            _people(benchmark)
        return read_groups(self.groups, data.opened_benchmarks) if self.groups is not None else {}

    def measure(self, data: FaceDataModule, embeddings: Mapping[str, np.ndarray], groups: Groups) -> dict[str, Any]:
        """Print the tables, draw the figure, and return the entries of the summary, with ``embeddings`` by benchmark
        ``(N, D)`` and ``groups`` from `read`."""
        benchmarks = {benchmark.name: benchmark for benchmark in data.opened_benchmarks}
        people = {name: _people(benchmark) for name, benchmark in benchmarks.items()}
        found: dict[str, Any] = {"images": {name: _images(benchmark) for name, benchmark in benchmarks.items()}}
        for name, of_images in groups.items():
            found["images"][name]["without_group"] = _without_group(name, of_images)
        if self.all_pairs:
            pairs = {name: _refusing(name, compare_all, embeddings[name], people[name]) for name in benchmarks}
            found |= _of_pairs(pairs, groups)
            if self.det is not None:
                curves = {
                    f"{name}: {len(all_of.person):,} images": det_points(all_of) for name, all_of in pairs.items()
                }
                save_figure(det_figure(curves), self.det)
        if self.identify:
            drawn = {
                n: _refusing(n, identify, embeddings[n], people[n], draws=self.draws, groups=groups.get(n))
                for n in benchmarks
            }
            found["identification"] = {name: of_draws(draws) for name, draws in drawn.items()}
            _show_identification(found["identification"])
        return found


def _people(benchmark: Benchmark) -> tuple[str, ...]:
    if benchmark.people is None:
        problem = f"benchmark {benchmark.name} does not tell whom each of its {len(benchmark.images)} images shows"
        others = ", or leave out those that no pair names with unlisted=false" if benchmark.listed is not None else ""
        remedy = f"give it as a folder whose paths name the people, as in NAME/NAME_0001.jpg{others}"
        raise InputError(f"{problem}, which all_pairs and identify need: {remedy}")
    return benchmark.people


def _images(benchmark: Benchmark) -> dict[str, int]:
    listed = benchmark.images if benchmark.listed is None else benchmark.listed
    return {"all": len(benchmark.images), "in_pairs": len(listed), "people": len(set(benchmark.people or ()))}


def _refusing(name: str, measure: Any, *args: Any, **options: Any) -> Any:
    try:
        return measure(*args, **options)
    except ValueError as error:
        raise InputError(f"images of benchmark {name} cannot be compared: {error}") from error


def _of_pairs(pairs: Mapping[str, AllPairs], groups: Groups) -> dict[str, Any]:
    points, found = {}, {}
    for name, all_of in pairs.items():
        points[name], refused = operating_points(all_of)
        found[name] = {
            "mated_pairs": all_of.num_mated,
            "non_mated_pairs": all_of.num_non_mated,
            "decision": DECISION,
            "at_fmr": {key: point.summary() for key, point in points[name].items()},
            "refused": refused,
        }
    _show_points(pairs, points)
    elsewhere = applied_elsewhere(pairs)
    if elsewhere:
        _show_elsewhere(elsewhere)
    for name in groups:
        found[name]["groups"] = _of_groups(name, pairs[name], groups[name], points[name])
    return {"all_pairs": found, "thresholds_elsewhere": elsewhere}


def _without_group(name: str, groups: list[str | None]) -> int:
    """Return how many images have no group, and say so."""
    without = groups.count(None)
    if without:
        log(f"{without} of {len(groups)} images of benchmark {name} have no group and count in none")
    return without


def _of_groups(
    name: str, pairs: AllPairs, groups: list[str | None], points: Mapping[str, OperatingPoint]
) -> dict[str, Any]:
    found, rows = {}, []
    for key, point in points.items() if any(groups) else ():
        rates = rates_by_group(pairs, groups, point.step)
        found[key] = {"groups": {group: rate.summary() for group, rate in rates.items()}, "gap": gap(rates)}
        rows += _group_rows(key, found[key])
    if rows:
        terminal(120).print(terminal_table(rows, title=f"{name}: rates by group in percent, at a common threshold"))
    return found


def _group_rows(key: str, found: Mapping[str, Any]) -> list[Row]:
    rows = []
    for group, rate in found["groups"].items():
        row = {"": group, "threshold of FMR": key, "images": str(rate["images"])}
        row |= {f"{kind.upper()}": _rate(rate[kind], rate[f"{kind}_interval"]) for kind in ("fmr", "fnmr")}
        rows.append(row)
    gap = found["gap"]
    gaps = {kind.upper(): _rate(gap[kind], gap[f"{kind}_interval"], "none") for kind in ("fmr", "fnmr")}
    return [*rows, {"": "gap, largest minus smallest", "threshold of FMR": key, "images": "", **gaps}]


def _rate(rate: float | None, interval: list[float] | None, without: str = "no pair") -> str:
    if rate is None:
        return without
    return f"{100 * rate:.2f} " + ("(n/a)" if interval is None else _percent(interval))


def _percent(interval: list[float]) -> str:
    return f"({100 * interval[0]:.2f} to {100 * interval[1]:.2f})"


def _show_points(pairs: Mapping[str, AllPairs], points: Mapping[str, Mapping[str, OperatingPoint]]) -> None:
    rows = []
    for name, all_of in pairs.items():
        row = {"benchmark": name, "images": f"{len(all_of.person):,}"}
        row |= {"mated pairs": f"{all_of.num_mated:,}", "non-mated": f"{all_of.num_non_mated:,}"}
        for key in FMRS:
            point = points[name].get(key)
            row[f"FNMR at FMR {key}"] = "too few" if point is None else _point(point)
        rows.append(row)
    title = (
        "all pairs of images: FNMR in percent (95 % interval), and the cosine that is its threshold; nothing subtracted"
    )
    terminal(160).print(terminal_table(rows, title=title))


def _point(point: OperatingPoint) -> str:
    interval = "" if point.interval is None else f"\n{_percent(list(point.interval))}"
    return f"{100 * point.fnmr:.2f}{interval}\nat {point.threshold:.4f}"


def _bounds(interval: list[float] | None) -> str:
    return " (n/a)" if interval is None else f" ({interval[0]:.2e} to {interval[1]:.2e})"


def _show_elsewhere(elsewhere: list[dict[str, Any]]) -> None:
    rows = [
        {
            "": f"{row['chosen_on']}, FMR {row['fmr_there']}",
            "cosine": f"{row['cosine_threshold']:.4f}",
            "applied to": row["applied_to"],
            "FMR": f"{row['fmr']:.2e}{_bounds(row['fmr_interval'])}",
            "FNMR in percent": _rate(row["fnmr"], row["fnmr_interval"]),
        }
        for row in elsewhere
    ]
    terminal(120).print(
        terminal_table(rows, title="thresholds chosen on one benchmark, applied to another (95 % interval)")
    )


def _show_identification(found: Mapping[str, Mapping[str, Any]]) -> None:
    rows = []
    for name, entry in found.items():
        rows.append({"benchmark": name, "gallery": f"{entry['gallery']:,}", **_identification_row(entry)})
        rows += [
            {"benchmark": f"  {group}", **_identification_row(of)} for group, of in entry.get("groups", {}).items()
        ]
        if "gap" in entry:
            rows.append({"benchmark": "  gap", **_gap_row(entry["gap"])})
    draws = next(iter(found.values()))["draws"]
    title = (
        f"identification in percent, mean ± standard deviation over {draws} galleries of one image per person "
        "(95 % interval over people)"
    )
    terminal(160).print(terminal_table(rows, title=title))


def _identification_row(entry: Mapping[str, Any]) -> Row:
    row = {
        f"{kind.replace('_', '-')} probes": f"{entry[f'{kind}_probes']['mean']:.0f}" for kind in ("mated", "non_mated")
    }
    row |= {f"rank {rank}": _spread(entry["rank"][str(rank)]) for rank in RANKS}
    return row | {f"FNIR at FPIR {key}": _spread(entry["fnir_at_fpir"].get(key)) for key in FPIRS}


def _gap_row(gap: Mapping[str, Any]) -> Row:
    columns = {f"rank {rank}": ("rank", str(rank)) for rank in RANKS}
    columns |= {f"FNIR at FPIR {key}": ("fnir_at_fpir", key) for key in gap["fnir_at_fpir"]}
    return {
        column: _rate(gap[kind][key], gap[f"{kind}_interval"][key], "none") for column, (kind, key) in columns.items()
    }


def _spread(values: Mapping[str, Any] | None) -> str:
    if values is None or values["mean"] is None:
        return "too few"
    std = "" if values["std"] is None else f" ± {100 * values['std']:.2f}"
    return f"{100 * values['mean']:.2f}{std}\n" + (
        "(n/a)" if values["interval"] is None else _percent(values["interval"])
    )
