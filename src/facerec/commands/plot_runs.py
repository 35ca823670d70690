"""Draw finished runs: python scripts/plot_runs.py outputs/NAME [--out FILE.png]

ROC curves of every run's best checkpoint, and the affinity maps of the first run that has any.
"""

import argparse
import sys
from pathlib import Path

from facerec.program import run

import numpy as np
from matplotlib.figure import Figure

from facerec.config.build import build_trained
from facerec.errors import InputError
from facerec.files import BEST, SCORES
from facerec.operators.tvconv import TVConv
from facerec.plots.network import draw_affinity, draw_roc, roc_label, save_figure, spatial_layers, spread
from facerec.runs.report import find_runs, read_results
from facerec.runs.results import load_scores
from facerec.runs.run_names import run_names
from facerec.verification.roc import roc_curve

Curves = dict[str, tuple[np.ndarray, np.ndarray]]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, help="default: runs.png in the first folder")
    options = parser.parse_args(arguments)
    out = options.out or options.folders[0] / "runs.png"
    try:
        save_figure(picture(find_runs(options.folders)), out)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"drawn: {out}", file=sys.stderr)
    return 0


def picture(runs: list[Path]) -> Figure:
    """ROC curves on the left; affinity maps on the right where a run has them."""
    layers = next((found for found in map(trained_layers, runs) if found), {})
    figure = Figure(figsize=(13 if layers else 6.5, 5.5), layout="constrained")
    parts = figure.subfigures(1, 2, width_ratios=(6.5, 6.5)) if layers else [figure]
    draw_roc(parts[0], curves(runs), ", ".join(sorted({read_results(run)["protocol"] for run in runs})))
    if layers:
        draw_affinity(parts[1], layers)
        parts[1].suptitle("affinity maps that TVConv learned, and its weights")
    return figure


def curves(runs: list[Path]) -> Curves:
    """A curve for each run and benchmark, labelled with what tells it apart."""
    found: Curves = {}
    results = [read_results(folder) for folder in runs]
    names = run_names([result["config"] for result in results])
    for folder, result, run_name in zip(runs, results, names, strict=True):
        scores = load_scores(folder / SCORES)
        for name, summary in result["best"]["benchmarks"].items():
            fpr_tpr = roc_curve(scores[f"{name}/scores"], scores[f"{name}/is_same"])
            found[roc_label(f"{run_name}, {name}", summary)] = fpr_tpr
    return found


def trained_layers(run: Path) -> dict[str, TVConv]:
    """Some layers with affinity maps of the run's best network; none where its operator has none."""
    backbone, _, _ = build_trained(run / BEST)
    return spread(spatial_layers(backbone), 4)


if __name__ == "__main__":
    run(main)
