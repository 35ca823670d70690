"""A trained network at another image size: maps that are bound to positions are resampled."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn


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
