"""A sweep written by hand: results, scores and curves of operators at several widths and seeds."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from test_report import results

from facerec.runs.scores import PairScores
from facerec.verification.dependence import named_people
from facerec.verification.intervals import accuracy_terms, accuracy_variance

OPERATORS = {"depthwise.Depthwise": 0.0, "tvconv.TVConv": 0.35, "involution.Involution": 0.1, "ddf.DDF": 0.2}
WIDTHS = (0.1, 0.2, 0.5)


def write_sweep(
    folder: Path,
    operators: Sequence[str] = tuple(OPERATORS),
    widths: Sequence[float] = WIDTHS,
    seeds: Sequence[int] = (1,),
    benchmarks: Sequence[str] = ("lfw", "cfp_ff"),
    pairs: int = 600,
    epochs: int = 12,
) -> None:
    """Write a run for each cell and seed below ``folder``."""
    for index, operator in enumerate(operators):
        for width in widths:
            for seed in seeds:
                run = folder / f"{operator},width={width},seed={seed}"
                run.mkdir(parents=True)
                skill = 2.2 + OPERATORS.get(operator, 0.0) + 0.8 * width
                rng = np.random.default_rng([index, int(10 * width), seed])
                scores = {name: _scores(n, pairs, skill - 0.5 * n, rng) for n, name in enumerate(benchmarks)}
                arrays = {f"{n}/{k}": v for n, kept in scores.items() for k, v in vars(kept).items() if v is not None}
                np.savez_compressed(run / "last_scores.npz", **arrays)
                (run / "results.json").write_text(json.dumps(_results(operator, width, seed, scores)))
                (run / "metrics.csv").write_text(_curves(epochs, scores, rng))


def _scores(number: int, pairs: int, skill: float, rng: np.random.Generator) -> PairScores:
    """Distances that tell people apart by ``skill`` standard deviations; the pairs are those of the benchmark."""
    listed = np.random.default_rng(number)
    left, right = listed.integers(0, 2 * pairs, (2, pairs))
    is_same = np.arange(pairs) % 2 == 0
    hard = listed.normal(0, 0.7, pairs)
    distances = 4 + hard + rng.normal(0, 0.7, pairs) + np.where(is_same, -skill / 2, skill / 2)
    return PairScores(
        scores=distances.astype(np.float32),
        is_same=is_same,
        thresholds=np.full(10, 4.0),
        correct=(distances < 4) == is_same,
        folds=np.arange(pairs) * 10 // pairs,
        left=left,
        right=right,
        images=np.array([f"person_{i // 4:04d}/person_{i // 4:04d}_{i % 4 + 1:04d}.jpg" for i in range(2 * pairs)]),
        people=np.array([f"person_{i // 4:04d}" for i in range(2 * pairs)]),
    )


def _results(operator: str, width: float, seed: int, scores: dict[str, PairScores]) -> dict:
    node = {"_target_": f"facerec.operators.{operator}", "kernel_size": 3}
    run = results(seed=seed, operator=node, width=width, optimizer={"lr": 0.1})
    run["config"]["backbone"]["width"] = width
    heavier = 1 + 0.3 * list(OPERATORS).index(operator) if operator in OPERATORS else 1
    run["cost"] |= {"macs_paper": 1.5e8 * width * heavier, "params_deployed": 2e6 * width}
    run["cost"] |= {"weight_map_elements": 1.5e7 * width if "TVConv" in operator else 0}
    run |= {"training_images_per_second": 300 / heavier / (1 + width), "command": f"train.py operator={operator}"}
    run["environment"] = {"python": "3.12.1", "torch": "2.11.0", "device": "a processor", "threads": 8}
    run["data"]["train"] |= {"images": 450_000, "identities": 10_572}
    run["data"]["benchmarks"] = {
        name: {"pairs": len(kept.scores), "fingerprint": name} for name, kept in scores.items()
    }
    for epoch in ("best", "last"):
        run[epoch]["benchmarks"] = {name: _summary(kept, epoch) for name, kept in scores.items()}
    return run


def _summary(kept: PairScores, epoch: str) -> dict:
    accuracy, terms = accuracy_terms(kept.correct, kept.folds)
    people = named_people(kept.people[kept.left], kept.people[kept.right])
    error = accuracy_variance(terms, people) ** 0.5
    accuracy = min(accuracy + 0.004 * (epoch == "best"), 1.0)
    return {"accuracy": accuracy, "std": 0.01, "auc": 0.9, "accuracy_error": error, "num_people": people.num_people}


def _curves(epochs: int, scores: dict[str, PairScores], rng: np.random.Generator) -> str:
    names = [f"{name}/accuracy" for name in scores]
    lines = [",".join(["epoch", "step", "mean_accuracy", "train/loss", *names])]
    ends = [float(np.mean(kept.correct)) for kept in scores.values()]
    for epoch in range(epochs):
        learned = 1 - np.exp(-4 * (epoch + 1) / epochs)
        now = [0.5 + (end - 0.5) * learned + rng.normal(0, 0.004) for end in ends]
        loss = 18 * (1 - learned) + 2 + rng.normal(0, 0.15)
        lines.append(",".join(map(str, [epoch, 100 * (epoch + 1), np.mean(now), loss, *now])))
    return "\n".join(lines) + "\n"
