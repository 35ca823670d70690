"""The contours of several networks side by side: figure 10 of the TVConv paper (arXiv 2203.10489), from runs."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from facerec.config.build import build_data, evaluate
from facerec.config.trained import build_trained
from facerec.plots.overlays import Overlay, comparison_figure
from facerec.runs.differences import Run, read_runs
from facerec.runs.run_names import run_names
from facerec.runs.segmentation_table import unseen_of
from facerec.training.mask_evaluator import MaskEvaluator

_MOST_IMAGES = 5


def contours(folders: Sequence[Path], trust: bool = False) -> Figure:
    """Draw the first images of the unseen domain by the best epoch of each network, with one seed.

    The runs are of segmentation; of several unseen domains, the first is drawn.
    """
    runs = read_runs(folders)
    unseen = unseen_of(runs[0])
    alike = [run for run in runs if unseen_of(run) == unseen]
    first = min(run.results.config["seed"] for run in alike)
    shown = [run for run in alike if run.results.config["seed"] == first]
    names = run_names([run.results.config for run in shown])
    overlays = {name: _overlays(run, unseen, trust) for name, run in zip(names, shown, strict=True)}
    return comparison_figure(overlays, f"{unseen}, not trained on; protocol {shown[0].results.protocol}, seed {first}")


def _overlays(run: Run, unseen: str, trust: bool) -> list[Overlay]:
    network, cfg, _ = build_trained(run.results.best_checkpoint(run.folder), trust=trust)
    data = build_data(cfg)
    data.setup("validate")
    evaluator = evaluate(cfg, data, network)
    assert isinstance(evaluator, MaskEvaluator)
    return evaluator.overlays[unseen][:_MOST_IMAGES]
