"""Evaluate a network that segments: the part of facerec evaluate for masks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from torch import nn

from facerec.config.build import build_data, evaluate
from facerec.console import terminal
from facerec.data.fundus.segmentation_datamodule import SegmentationDataModule
from facerec.plots.network import save_figure
from facerec.plots.overlays import overlay_figure
from facerec.runs.mask_metric import MaskMetric
from facerec.runs.mask_scores import save_mask_scores
from facerec.runs.provenance import code_and_environment
from facerec.runs.segmentation_table import FLOOR
from facerec.runs.table_formats import Estimate, Row, terminal_table
from facerec.segmentation.mask_protocols import Protocol
from facerec.training.mask_evaluator import MaskEvaluator
from facerec.verification.intervals import Interval


def evaluate_masks(
    cfg: DictConfig, network: nn.Module, described: dict[str, Any], scores: Path | None, overlays: Path | None
) -> dict[str, Any] | None:
    """Evaluate, print a table and write the files; return the summary to print, on the first of several devices."""
    data = build_data(cfg)
    data.setup("validate")
    evaluator = evaluate(cfg, data, network)
    assert isinstance(evaluator, MaskEvaluator) and isinstance(data, SegmentationDataModule)
    summaries = {name: result.summary() for name, result in evaluator.results.items()}
    summary = {
        **described,
        "image_size": cfg.image_size,
        "protocol": cfg.protocol,
        "unseen": data.unseen,
        "test_augmentation": OmegaConf.to_container(cfg.data.get("test_augmentation", OmegaConf.create())),
        **code_and_environment(),
        "data": {each.name: {"images": each.num_images, "fingerprint": each.fingerprint()} for each in data.sets},
        "benchmarks": summaries,
    }
    return _publish(evaluator, summary, data, scores, overlays)


@rank_zero_only
def _publish(
    evaluator: MaskEvaluator,
    summary: dict[str, Any],
    data: SegmentationDataModule,
    scores: Path | None,
    overlays: Path | None,
) -> dict[str, Any]:
    title = (
        f"optic disc and cup [95 % interval over images], protocol {summary['protocol']}, epoch {summary['epoch'] + 1} "
        "(counted from 1)"
    )
    terminal(140).print(terminal_table(mask_rows(summary["benchmarks"], evaluator.protocol), title=title))
    if scores is not None:
        save_mask_scores(scores, evaluator.results, data.sets)
    if overlays is not None:
        assert data.unseen is not None  # as of every set-up
        shown = f"{data.unseen}, not trained on; protocol {summary['protocol']}, epoch {summary['epoch'] + 1}"
        save_figure(overlay_figure(evaluator.overlays[data.unseen], shown), overlays)
    return summary


def mask_rows(summaries: Mapping[str, dict[str, Any]], protocol: Protocol) -> list[Row]:
    """Return two rows for each set, of the network and of the constant mask, with the protocol's numbers."""
    rows = []
    for name, summary in summaries.items():
        network: Row = {"": name, "images": str(summary["images"])}
        floor: Row = {"": f"{name}, {FLOOR}", "images": ""}
        for metric in map(MaskMetric, protocol.columns):
            number, factor = summary["numbers"][metric.kind], metric.factor
            interval = number["interval"] and Interval(*number["interval"])
            network[metric.heading] = Estimate(number["mean"], interval, factor=factor)
            floor[metric.heading] = f"{factor * number['floor']:.2f}"
        rows += [network, floor]
    return rows
