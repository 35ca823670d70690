"""Export a network that segments: the part of facerec export for masks."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import nn

from facerec.config.build import build_data
from facerec.config.trained import read_model
from facerec.console import log, terminal
from facerec.cost import measure_cost
from facerec.data.fundus.segmentation_datamodule import SegmentationDataModule
from facerec.errors import InputError
from facerec.exporting import formats as files
from facerec.exporting.deployed_network import export_form
from facerec.exporting.mask_parity import LEAST_AGREEMENT, MaskParity, compare_masks
from facerec.exporting.model_card import NO_LICENCE
from facerec.files import replacing
from facerec.runs.provenance import code_and_environment
from facerec.runs.table_formats import terminal_table
from facerec.segmentation.mask_protocols import PROTOCOLS
from facerec.training.checkpoints import training_fingerprint

FORMATS = ("onnx", "pt2")
_AT_ONCE = 16


def export_masks(
    backbone: nn.Module,
    cfg: DictConfig,
    checkpoint: dict[str, Any],
    source: Path,
    output: Path,
    format: str,
    tolerances: list[float],
    licence: str | None,
    trust: bool,
) -> dict[str, Any]:
    """Write the file, compare its masks with the checkpoint's on all images to evaluate on, and return a summary.

    Raises `InputError` for another format than `FORMATS`, and if the masks agree less than `LEAST_AGREEMENT` at the
    last of the ``tolerances``, which are tried in turn.
    """
    if format not in FORMATS:
        raise InputError(f"format={format} has no form for masks: take format={' or '.join(FORMATS)}")
    data = build_data(cfg)
    assert isinstance(data, SegmentationDataModule)
    data.setup("validate")
    metadata = _described(backbone, data, checkpoint, str(source), licence)
    example = torch.randint(0, 256, (2, *data.image_size, 3), dtype=torch.uint8)
    threshold = PROTOCOLS[cfg.protocol].threshold
    with replacing(output) as temporary:
        for tolerance in tolerances:
            files.write(format, export_form(backbone, tolerance), example, metadata, temporary)
            exported = read_model(temporary, trust).embed
            parity = compare_masks(backbone, exported, _batches(data), threshold)
            if min(parity.equal_pixels, parity.dice) > LEAST_AGREEMENT:
                break
            log(f"tolerance {tolerance:g}: the masks agree in {parity.equal_pixels:.6f} of the pixels, too few")
        parity.refuse_difference("give tolerance=0, which is exact" if tolerance else "train longer")
    _show(parity)
    return {"file": str(output), "bytes": output.stat().st_size, "tolerance": tolerance, **parity.summary()}


def _described(
    backbone: nn.Module, data: SegmentationDataModule, checkpoint: dict[str, Any], source: str, licence: str | None
) -> dict[str, str]:
    size = (int(data.image_size[0]), int(data.image_size[1]))
    return {
        **files.describe_segmentation(checkpoint, source, size),
        "training_data": training_fingerprint(checkpoint) or "not known",
        "git_commit": str(code_and_environment()["git_commit"]),
        "cost": json.dumps(asdict(measure_cost(backbone, size))),
        "licence": licence or NO_LICENCE,
    }


def _batches(data: SegmentationDataModule) -> Iterator[np.ndarray]:
    """Yield all images to evaluate on, uint8 ``(B, H, W, 3)``."""
    for each in data.sets:
        for start in range(0, each.num_images, _AT_ONCE):
            yield each.images.pixels[start : start + _AT_ONCE]


def _show(parity: MaskParity) -> None:
    rows = [
        {"": key, "value": f"{value:.6f}" if isinstance(value, float) else str(value)}
        for key, value in asdict(parity).items()
    ]
    terminal(120).print(terminal_table(rows, title="masks of the file and of its checkpoint"))
