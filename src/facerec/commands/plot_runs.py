"""Plot finished runs: facerec plot_runs outputs/NAME ...

Draws ROC curves of the best checkpoint of every run, and the affinity maps of the first run that has any. Of runs that
segment, it draws the contours of cup and disc over images of the unseen domain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from facerec.commands.mask_figures import contours
from facerec.config.settings import command, setting
from facerec.config.trained import build_trained
from facerec.console import log
from facerec.errors import InputError
from facerec.files import RESULTS, SCORES, check_output_file
from facerec.operators.tvconv import TVConv
from facerec.plots.network import (
    draw_affinity,
    draw_roc,
    legend_height,
    refuse_no_figure,
    roc_label,
    save_figure,
    spatial_layers,
    spread,
)
from facerec.runs.report import find_runs
from facerec.runs.run_names import run_names
from facerec.runs.run_results import RunResults, learner_of
from facerec.runs.scores import PairScores, load_scores
from facerec.verification.roc import checked_is_same, roc_curve

Curves = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass
class Settings:
    """Settings:"""

    folders: tuple[Path, ...] = setting("that contain runs", word=True)
    out: Path | None = setting("figure to write; runs.png in the first folder if not given", None, written=True)
    trust: bool = setting("also build classes that are not facerec's: only if you trust the runs", False)


def draw(settings: Settings) -> None:
    out = settings.out or settings.folders[0] / "runs.png"
    refuse_no_figure(out)
    check_output_file(out, f"out={out}")
    runs = find_runs(list(settings.folders))
    learner = learner_of(RunResults.read(runs[0]).config)
    save_figure(_FIGURES[learner](find_runs(list(settings.folders), learner), settings.trust), out)
    log(f"drawn: {out}")


def figure_of(runs: list[Path], trust: bool = False) -> Figure:
    """Draw ROC curves on the left and affinity maps, if a run has any, on the right."""
    results, drawn = [RunResults.read(run) for run in runs], curves(runs)
    names = run_names([result.config for result in results])
    opened = ((trained_layers(run, trust), name) for run, name in zip(runs, names, strict=True))
    layers, shown = next((one for one in opened if one[0]), ({}, ""))
    figure = Figure(figsize=(13 if layers else 6.5, max(5.5, 4.5 + legend_height(len(drawn)))), layout="constrained")
    parts: Any = figure.subfigures(1, 2, width_ratios=(6.5, 6.5)) if layers else [figure]
    draw_roc(parts[0], drawn, ", ".join(sorted({result.protocol for result in results})))
    if layers:
        draw_affinity(parts[1], layers)
        parts[1].suptitle(f"{fill(shown, 70)}\naffinity maps and weights of the best epoch", fontsize="medium")
    return figure


def curves(runs: list[Path]) -> Curves:
    """Return the ROC curve per run and benchmark, by a label that identifies it."""
    found: Curves = {}
    results = [RunResults.read(folder) for folder in runs]
    names = run_names([result.config for result in results])
    for folder, result, run_name in zip(runs, results, names, strict=True):
        scores = load_scores(folder / SCORES)
        for name, summary in result.best["benchmarks"].items():
            found[roc_label(f"{run_name}, {name}", summary)] = _curve(scores, name, folder)
    return found


def _curve(scores: dict[str, PairScores], name: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        kept = scores[name]
        return roc_curve(kept.scores, checked_is_same(kept.is_same, len(kept.scores)))
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{folder / SCORES} has no scores of {name} that make a curve ({error}): remove {RESULTS} there and run it "
            "again with resume=auto, which only verifies its checkpoints"
        ) from error


def trained_layers(run: Path, trust: bool = False) -> dict[str, TVConv]:
    """Return up to four layers with affinity maps of the run's best checkpoint, or none if it has no such layers."""
    backbone, _, _ = build_trained(RunResults.read(run).best_checkpoint(run), trust=trust)
    return spread(spatial_layers(backbone), 4)


_FIGURES: dict[str, Callable[[list[Path], bool], Figure]] = {"Recognizer": figure_of, "Segmenter": contours}
main = command(Settings, draw)
