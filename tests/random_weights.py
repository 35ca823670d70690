"""Weights as after training: none of them constant, so that nothing cancels by chance."""

import torch
from torch import nn


@torch.no_grad()
def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Scale and shift every learned number and every running statistic by a number of its own; returns ``module``."""
    generator = torch.Generator().manual_seed(seed)
    statistics = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
    for tensor in [*module.parameters(), *statistics]:
        scale = torch.rand(tensor.shape, generator=generator) + 0.5
        tensor.mul_(scale).add_(0.05 * torch.rand(tensor.shape, generator=generator))
    return module
