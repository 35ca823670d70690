"""Accuracy against cost: the points of a sweep, and those that no other one beats in both."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import NamedTuple

from facerec.runs.mean_accuracy import mean_accuracy_interval
from facerec.runs.sweep import SweepRun
from facerec.verification.intervals import Interval


class Point(NamedTuple):
    """Accuracy of the last epoch and cost of one cell of a sweep; the interval is known for a single benchmark."""

    cell: str
    group: str
    accuracy: float
    interval: Interval | None
    cost: float


MACS, STORED, SPEED, MEMORY = "multiply-adds (M)", "parameters + cached weights (M)", "images/s", "peak memory (MB)"
COSTS = {
    MACS: "MACs as in the paper",
    STORED: "of the deployed network: learned parameters, and the weight maps that it reads",
    SPEED: "in training",
    MEMORY: "of weights, images and intermediate results of 8 images in inference",
}


def costs_of(cells: Mapping[str, Sequence[SweepRun]], memory: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return, for each of `COSTS`, its value per cell where it is known; ``memory`` is the peak memory per cell."""
    counted = {cell: runs[0].results.cost for cell, runs in cells.items()}
    speeds = {cell: [run.results.training_images_per_second for run in runs] for cell, runs in cells.items()}
    known = {cell: [speed for speed in each if speed is not None] for cell, each in speeds.items()}
    return {
        MACS: {cell: cost["macs_paper"] / 1e6 for cell, cost in counted.items()},
        STORED: {c: (cost["params_deployed"] + cost["weight_map_elements"]) / 1e6 for c, cost in counted.items()},
        SPEED: {cell: mean(each) for cell, each in known.items() if each},
        MEMORY: dict(memory),
    }


def points_of(
    cells: Mapping[str, Sequence[SweepRun]], benchmarks: Sequence[str], costs: Mapping[str, float]
) -> list[Point]:
    """Return a point per cell whose cost is known; accuracies are means over seeds and ``benchmarks``."""
    return [
        Point(cell, runs[0].group, _accuracy(runs, benchmarks), _interval(runs, benchmarks), costs[cell])
        for cell, runs in cells.items()
        if cell in costs
    ]


def _accuracy(runs: Sequence[SweepRun], benchmarks: Sequence[str]) -> float:
    return mean(run.results.last["benchmarks"][name]["accuracy"] for run in runs for name in benchmarks)


def _interval(runs: Sequence[SweepRun], benchmarks: Sequence[str]) -> Interval | None:
    if len(benchmarks) != 1:
        return None
    return mean_accuracy_interval(runs, "last", benchmarks[0])[0]


def pareto_front(points: Sequence[Point], more_is_better: bool = False) -> list[Point]:
    """Return the points that no other one equals or beats in accuracy and cost, by ascending cost."""
    sign = -1 if more_is_better else 1
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (sign * point.cost, -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front[::sign]
