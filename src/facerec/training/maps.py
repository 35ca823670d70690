"""Maps that are bound to positions: initial values from the training images, and another image size."""

from collections.abc import Mapping
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from facerec.data.datamodule import FaceDataModule
from facerec.operators.base import SpatialOperator


def initialise_from_data(network: nn.Module, data: FaceDataModule, cache: Path) -> None:
    """Give every operator that ``starts_from_data`` the mean and deviation of the training images at each position, by
    its ``initialise_maps(statistics)``. Nothing is read where there is none.

    Args:
        network: such as a backbone with TVConv and ``map_init="data"``.
        data: set up to fit.
        cache: folder in which what was computed is kept for the next run on these images.
    """
    operators = (module for module in network.modules() if isinstance(module, SpatialOperator))
    waiting = [operator for operator in operators if operator.starts_from_data]
    if waiting:
        statistics = data.position_statistics(cache)
        for operator in waiting:
            operator.initialise_maps(statistics)


def resample_maps(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The weights ``state`` of a network, fitted to the same ``network`` built for another image size.

    What has one number a position, ``(..., H, W)`` with at least one dimension before, such as TVConv's affinity maps
    and the scales of its generator's layer norm, is interpolated bilinearly between the positions' centres. All else
    stays; what fits in no such way is left for ``network.load_state_dict`` to refuse.
    """
    own = network.state_dict()
    return {name: _resampled(tensor, own.get(name)) for name, tensor in state.items()}


def _resampled(tensor: Tensor, like: Tensor | None) -> Tensor:
    if like is None or tensor.shape == like.shape or tensor.ndim < 3 or tensor.shape[:-2] != like.shape[:-2]:
        return tensor
    batch = tensor.reshape(1, -1, *tensor.shape[-2:]).float()
    resized = F.interpolate(batch, like.shape[-2:], mode="bilinear", antialias=True)
    return resized.reshape(like.shape).to(tensor.dtype)
