"""The plots of a sweep: accuracy against cost, curves of training, ROC and DET."""

from collections.abc import Mapping, Sequence

import numpy as np

from facerec.errors import InputError
from facerec.pages.markup import Html, element, joined
from facerec.pages.scales import Scale, linear, logarithmic, normal_deviate
from facerec.pages.svg_plot import Axis, Dot, Line, figure, plot
from facerec.runs.learning_curves import learning_curves
from facerec.runs.pareto import COSTS, SPEED, Point, costs_of, pareto_front, points_of
from facerec.runs.scores import PairScores
from facerec.runs.sweep import SweepRun, cells_of, common_benchmarks, short_names
from facerec.verification.roc import roc_curve

_LONGEST = 22  # characters of a label


class SweepPlots:
    """Draws the runs, each in the colour of its group, which is the same in all plots."""

    def __init__(self, runs: Sequence[SweepRun]) -> None:
        self.runs, self.cells = runs, cells_of(runs)
        self.groups = list(dict.fromkeys(run.group for run in runs))
        self.numbers = {cell: number for number, cell in enumerate(self.cells)}
        self.short = dict(zip(self.cells, short_names(list(self.cells)), strict=True))

    def costs(self, memory: Mapping[str, float]) -> list[Html]:
        """Return a plot of mean accuracy against each cost that is known for two cells or more.

        ``memory`` is the peak memory per cell.
        """
        benchmarks = common_benchmarks(self.runs)
        costs = costs_of(self.cells, memory) if benchmarks else {}
        found = {cost: points_of(self.cells, benchmarks, known) for cost, known in costs.items()}
        return [self._cost(cost, points) for cost, points in found.items() if len(points) > 1]

    def _cost(self, cost: str, points: Sequence[Point]) -> Html:
        more = cost == SPEED
        front = pareto_front(points, more)
        ends = [end for point in points for end in point.interval or (point.accuracy,)]
        x, y = Axis(cost, _cost_scale([point.cost for point in points])), Axis("accuracy", linear(np.array(ends), True))
        line = np.array([(point.cost, point.accuracy) for point in front]) if len(front) > 1 else None
        dots = [self._dot(point, cost) for point in points]
        better = f"further {'right' if more else 'left'} and up is better"
        best = (
            "on the dashed line, no other network is better in both"
            if len(front) > 1
            else "one network is best in both"
        )
        caption = joined([element("b", f"Accuracy against {cost}"), f", {COSTS[cost]}: {better}; {best}."])
        return figure(plot(x, y, [], dots, line), caption)

    def _dot(self, point: Point, cost: str) -> Dot:
        name = f"{point.cell}: {100 * point.accuracy:.2f} %, {point.cost:.4g} {cost}"
        label, colour = self._label(point), self.groups.index(point.group)
        return Dot(point.cost, point.accuracy, name, colour, self.numbers[point.cell], label, point.interval)

    def _label(self, point: Point) -> str:
        """Return what tells a network from those of the same colour; its name if there are none."""
        short = self.short[point.cell]
        label = " ".join(word for word in short.split() if word not in point.group.split()) or short
        return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"

    def training(self) -> tuple[list[Html], list[str]]:
        """Return plots of the loss and of each accuracy by epoch, and sentences on runs without these curves."""
        curves, problems = {}, []
        for run in self.runs:
            try:
                curves[run.name] = learning_curves(run.folder)
            except InputError as error:
                problems.append(str(error))
        names = list(dict.fromkeys(name for found in curves.values() for name in found))
        accuracies = [name for name in names if name.endswith("/accuracy")]
        titles = {"train/loss": "Loss in training"}
        titles |= {name: f"Accuracy on {name.removesuffix('/accuracy')}" for name in accuracies}
        epochs = [points[:, 0] for found in curves.values() for name, points in found.items() if name in titles]
        x = Axis("epoch", linear(np.concatenate(epochs), whole=True)) if any(map(len, epochs)) else None
        drawn = [self._curve(curves, name, title, x) for name, title in titles.items()]
        return [part for part in drawn if part is not None], problems

    def _curve(
        self, curves: dict[str, dict[str, np.ndarray]], metric: str, caption: str, x: Axis | None
    ) -> Html | None:
        having = [run for run in self.runs if len(curves.get(run.name, {}).get(metric, ()))]
        if x is None or not having:
            return None
        points = np.concatenate([curves[run.name][metric] for run in having])
        lines = [self._line(run, curves[run.name][metric]) for run in having]
        percent = metric.endswith("/accuracy")
        y = Axis("accuracy" if percent else "loss", linear(points[:, 1], percent))
        return figure(plot(x, y, self._labelled(lines)), joined([element("b", caption), " after each epoch."]))

    def _labelled(self, lines: Sequence[Line]) -> list[Line]:
        """Name each group at the line that ends in the middle of its lines, if there are few groups."""
        labels: dict[int, str] = {}
        for colour in {line.colour for line in lines} if len(self.groups) <= 6 else ():
            own = sorted((line.points[-1, 1], index) for index, line in enumerate(lines) if line.colour == colour)
            labels[own[len(own) // 2][1]] = self.groups[colour]
        return [line._replace(label=labels.get(index, "")[:14]) for index, line in enumerate(lines)]

    def _line(self, run: SweepRun, points: np.ndarray) -> Line:
        return Line(points, run.name, self.groups.index(run.group), self.numbers[run.cell])

    def errors(self) -> list[tuple[Html, Html]]:
        """Return a ROC and a DET curve for each benchmark, of the last epoch."""
        names = dict.fromkeys(name for run in self.runs for name in run.scores)
        return [self._errors(name, [run for run in self.runs if name in run.scores]) for name in names]

    def _errors(self, name: str, runs: Sequence[SweepRun]) -> tuple[Html, Html]:
        kept = [run.scores[name] for run in runs]
        least, least_missed = _smallest_rates(kept)
        rates = [_rates(each, least) for each in kept]
        shown = np.concatenate(rates)
        x = Axis("false accept rate", logarithmic(min(least, 0.5), 1, True))
        y = Axis("true accept rate", linear(np.append(shown[:, 1], 1.0), True))
        roc = [self._line(run, _steps(points)) for run, points in zip(runs, rates, strict=True)]
        caption = joined([element("b", f"ROC on {name}"), ": same-person pairs accepted, by different-person pairs."])
        drawn = figure(plot(x, y, roc), caption)
        high = float(np.clip(1 - shown[:, 1].min(), 0.6, 0.99))
        x = Axis("false match rate", normal_deviate(min(least, 0.1), 0.6))
        y = Axis("false non-match rate", normal_deviate(min(least_missed, 0.1), high))
        det = [self._line(run, _missed(points, x.scale, y.scale)) for run, points in zip(runs, rates, strict=True)]
        caption = joined([element("b", f"DET on {name}"), ": both errors on normal-deviate axes, lower is better."])
        return drawn, figure(plot(x, y, det), caption)


def _cost_scale(costs: Sequence[float]) -> Scale:
    low, high = min(costs), max(costs)
    if low <= 0 or high < 8 * low:
        return linear(np.array(costs))
    return logarithmic(low / (high / low) ** 0.06, high * (high / low) ** 0.06)


def _smallest_rates(kept: Sequence[PairScores]) -> tuple[float, float]:
    """Return the rates of one false accept and of one false reject: the pairs determine no curve below them."""
    different, same = max(int((~k.is_same).sum()) for k in kept), max(int(k.is_same.sum()) for k in kept)
    return 1 / max(different, 1), 1 / max(same, 1)


def _rates(kept: PairScores, least: float) -> np.ndarray:
    """Return false and true accept rates ``(N, 2)``, the first of at least ``least``."""
    false_accepts, true_accepts = roc_curve(kept.scores, kept.is_same)
    start = max(int(np.searchsorted(false_accepts, least, side="right")) - 1, 0)
    return np.stack([np.maximum(false_accepts[start:], least), true_accepts[start:]], 1)


def _steps(points: np.ndarray) -> np.ndarray:
    """Return the corners of the steps through ``points``, each of which holds up to the next."""
    x, y = np.repeat(points[:, 0], 2)[1:], np.repeat(points[:, 1], 2)[:-1]
    return np.stack([x, y], 1)


def _missed(points: np.ndarray, x: Scale, y: Scale) -> np.ndarray:
    """Return the corners of the curve of false non-matches, as far as it is inside of both axes."""
    corners = _steps(points) * [1, -1] + [0, 1]
    inside = (corners[:, 0] <= x.high) & (corners[:, 1] >= y.low) & (corners[:, 1] <= y.high)
    return corners[inside] if inside.any() else corners[:1]
