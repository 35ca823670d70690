"""The variance of features within an image and across images, as in figure 1e of the paper."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from facerec.config.build import build_backbone, build_faces
from facerec.config.compose import compose
from facerec.config.trained import build_trained
from facerec.data.datamodule import FaceDataModule
from facerec.data.loading import ImageDataset, normalise
from facerec.errors import InputError
from facerec.plots.feature_variance import feature_variances, variance_figure
from facerec.runs.found_checkpoints import found_checkpoints
from facerec.runs.run_names import run_names


def variances(
    folders: Sequence[Path], images: int, overrides: Sequence[str], trust: bool
) -> tuple[Figure, dict[str, Any]]:
    """Measure the features of every checkpoint, and of the network that ``backbone=`` builds, on ``images`` images.

    Returns the figure and its numbers.
    """
    measured = {}
    for name, network, data in _opened(folders, overrides, trust):
        found = feature_variances(network, _images(data, images))
        if not found:
            raise InputError(f"{name} has no layer with a map of features: take a convolutional network")
        measured[name] = found
    numbers = {name: [asdict(layer) for layer in layers] for name, layers in measured.items()}
    return variance_figure(measured), numbers


def _opened(
    folders: Sequence[Path], overrides: Sequence[str], trust: bool
) -> Iterator[tuple[str, nn.Module, FaceDataModule]]:
    own = any(one.lstrip("+").startswith("backbone=") for one in overrides)
    if not folders and not own:
        raise InputError("figure=1e needs a network: name a folder of runs, or add backbone=... and data=...")
    if folders:
        for_trained = [one for one in overrides if one.lstrip("+").startswith("data")]
        paths = found_checkpoints(folders)
        opened = [build_trained(path, for_trained, trust) for path in paths]
        names = run_names([checkpoint["config"] for _, _, checkpoint in opened])
        for name, (network, cfg, _) in zip(names, opened, strict=True):
            yield name, network, build_faces(cfg)
    if own:
        cfg = compose(list(overrides))
        name = cfg.backbone.get("name") or cfg.backbone._target_.rpartition(".")[2]
        trained = "pretrained" if cfg.backbone.get("pretrained") else "untrained"
        torch.manual_seed(cfg.seed)
        yield f"{name}, {trained}", build_backbone(cfg), build_faces(cfg)


def _images(data: FaceDataModule, number: int) -> Iterator[Tensor]:
    """Yield batches of ``number`` evenly spaced images of the first benchmark, so that many people are among them."""
    data.setup("validate")
    source = data.opened_benchmarks[0].images
    dataset = ImageDataset(source, np.arange(len(source)), (data.image_size[0], data.image_size[1]))
    indices = np.unique(np.linspace(0, len(source) - 1, number).round().astype(int))
    for start in range(0, len(indices), 64):
        yield normalise(dataset.__getitems__(indices[start : start + 64].tolist())[0])
