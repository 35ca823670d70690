"""BatchNorm over the batches of all devices together."""

from functools import cache
from typing import Any, cast

import torch
from pytorch_lightning.plugins import LayerSync
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from facerec.errors import InputError
from facerec.heads.across_devices import summed

_KNOWN = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "BatchNormAct2d", "FusedBatchNormAct2d")


class SyncedNorms(LayerSync):
    """Lets the norms of a network in training normalise by mean and variance of all devices' images.

    The modules stay, with their classes' names, weights and activations: PyTorch's conversion would leave out the
    activation of timm's norms. On GPUs they compute as `torch.nn.SyncBatchNorm`, which has no kernels for the CPU.
    """

    def apply(self, model: nn.Module) -> nn.Module:
        """Raises `InputError` for a norm of another class than PyTorch's and timm's."""
        for module in model.modules():
            if isinstance(module, _BatchNorm) and not isinstance(module, nn.SyncBatchNorm | _Synced):
                module.__class__ = _synced(type(module))
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        for module in model.modules():
            if isinstance(module, _Synced):
                module.__class__ = type(module).__bases__[1]
        return model


class _Synced(_BatchNorm):
    # What PyTorch's asks of its module, which cannot be the base: data-parallel training refuses it on the CPU.
    process_group = None
    _check_non_zero_input_channels = nn.SyncBatchNorm._check_non_zero_input_channels

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = nn.SyncBatchNorm.forward(cast(Any, self), input) if input.is_cuda else _normalised(self, input)
        for name in ("drop", "act"):  # of timm's norms
            layer: Any = getattr(self, name, None)
            x = x if layer is None else layer(x)
        return x

    def _get_name(self) -> str:
        norm: Any = type(self).__bases__[1]
        return norm._get_name(self) if "_get_name" in vars(norm) else norm.__name__


@cache
def _synced(norm: type[nn.Module]) -> type[_Synced]:
    if norm.__name__ not in _KNOWN:
        raise InputError(f"{norm.__name__} is no norm that devices can share: add trainer.sync_batchnorm=false")
    return type(f"Synced{norm.__name__}", (_Synced, norm), {})


def _normalised(norm: _BatchNorm, x: Tensor) -> Tensor:
    """Return ``x`` ``(B, C, ...)`` normalised by the statistics of all devices, which ``norm`` keeps."""
    dims, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
    values = x.float()
    count = values.new_tensor([values.numel() / values.shape[1]])
    sums, images = summed(torch.cat([values.sum(dims), count])).split([values.shape[1], 1])
    mean = sums / images
    centred = values - mean.view(shape)
    variance = summed(centred.square().sum(dims)) / images
    _keep(norm, mean.detach(), (variance * images / (images - 1)).detach())
    normal = centred * (variance + norm.eps).rsqrt().view(shape)
    normal = normal if norm.weight is None else normal * norm.weight.view(shape)
    return (normal if norm.bias is None else normal + norm.bias.view(shape)).to(x.dtype)


@torch.no_grad()
def _keep(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    factor = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, factor)
    norm.running_var.lerp_(variance, factor)
