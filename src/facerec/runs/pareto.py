"""Accuracy against cost: the points of a sweep, and those that no other one beats in both."""

from collections.abc import Sequence
from statistics import mean
from typing import NamedTuple

from facerec.runs.report import mean_accuracy_interval
from facerec.runs.sweep import SweepRun
from facerec.verification.intervals import Interval


class Point(NamedTuple):
    """Accuracy of the last epoch and cost of one cell of a sweep; the interval is known for a single benchmark."""

    cell: str
    group: str
    accuracy: float
    interval: Interval | None
    cost: float


COSTS = {
    "multiply-adds (M)": "MACs as in the paper",
    "parameters + cached weights (M)": "of the deployed network: learned parameters, and the weight maps that it reads",
    "images/s": "in training",
}


def points_of(cells: dict[str, list[SweepRun]], benchmarks: Sequence[str], cost: str) -> list[Point]:
    """Return a point per cell whose ``cost``, a key of `COSTS`, is known; means over seeds and ``benchmarks``."""
    costs = {cell: _cost(runs, cost) for cell, runs in cells.items()}
    return [
        Point(cell, runs[0].group, _accuracy(runs, benchmarks), _interval(runs, benchmarks), found)
        for cell, runs in cells.items()
        if (found := costs[cell]) is not None
    ]


def _cost(runs: Sequence[SweepRun], cost: str) -> float | None:
    counted = runs[0].results.cost
    if cost == "multiply-adds (M)":
        return counted["macs_paper"] / 1e6
    if cost == "parameters + cached weights (M)":
        return (counted["params_deployed"] + counted["weight_map_elements"]) / 1e6
    speeds = [speed for run in runs if (speed := run.results.training_images_per_second) is not None]
    return mean(speeds) if speeds else None


def _accuracy(runs: Sequence[SweepRun], benchmarks: Sequence[str]) -> float:
    return mean(run.results.last["benchmarks"][name]["accuracy"] for run in runs for name in benchmarks)


def _interval(runs: Sequence[SweepRun], benchmarks: Sequence[str]) -> Interval | None:
    if len(benchmarks) != 1:
        return None
    return mean_accuracy_interval([run.results.last["benchmarks"][benchmarks[0]] for run in runs])


def pareto_front(points: Sequence[Point], more_is_better: bool = False) -> list[Point]:
    """Return the points that no other one equals or beats in accuracy and cost, by ascending cost."""
    sign = -1 if more_is_better else 1
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (sign * point.cost, -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front[::sign]
