"""Position-dependent maps: initialisation from the training images, and resampling to another image size."""

from collections.abc import Mapping
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from facerec.backbones.pooling import WholeMapConv
from facerec.data.image_datamodule import ImageDataModule
from facerec.operators.base import SpatialOperator


def initialise_from_data(network: nn.Module, data: ImageDataModule, cache: Path) -> None:
    """Initialise the maps of operators that ask for it, such as TVConv with ``map_init="data"``.

    They receive mean and standard deviation of the training images per position. Without such operators, nothing is
    read. ``data`` is set up to fit; the statistics are cached in the folder ``cache``.
    """
    operators = (module for module in network.modules() if isinstance(module, SpatialOperator))
    waiting = [operator for operator in operators if operator.starts_from_data]
    if waiting:
        statistics = data.position_statistics(cache)
        for operator in waiting:
            operator.initialise_maps(statistics)


def resample_maps(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return the weights ``state`` resampled for the same ``network`` built for another image size.

    Tensors with one value per position, ``(..., H, W)`` with at least one leading dimension, such as TVConv's affinity
    maps and its generator's layer-norm scales, are interpolated bilinearly; the weights of a `WholeMapConv`, which are
    summed over the positions, keep their sum. Kernels and other tensors are returned as they are, and
    ``network.load_state_dict`` refuses those that do not fit.
    """
    own = network.state_dict()
    kernels = {f"{path}.weight" for path, module in network.named_modules() if _slides(module)}
    fitted = {n: tensor if n in kernels else _resampled(tensor, own.get(n)) for n, tensor in state.items()}
    for path, module in network.named_modules():
        if isinstance(module, WholeMapConv) and (name := f"{path}.weight") in state:
            fitted[name] = fitted[name] * (state[name][0, 0].numel() / fitted[name][0, 0].numel())
    return fitted


def _slides(module: nn.Module) -> bool:
    """Whether it is a convolution over a padded map, whose kernel has no place in the image."""
    return isinstance(module, nn.Conv2d) and module.padding not in (0, (0, 0))


def _resampled(tensor: Tensor, like: Tensor | None) -> Tensor:
    if like is None or tensor.shape == like.shape or tensor.ndim < 3 or tensor.shape[:-2] != like.shape[:-2]:
        return tensor
    batch = tensor.reshape(1, -1, *tensor.shape[-2:]).float()
    resized = F.interpolate(batch, like.shape[-2:], mode="bilinear", antialias=True)
    return resized.reshape(like.shape).to(tensor.dtype)
