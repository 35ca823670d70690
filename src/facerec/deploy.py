"""Reparameterisation of trained modules for inference."""

import copy

from torch import nn


def reparameterize(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` in evaluation mode, in which modules are replaced by cheaper ones for inference.

    A module provides its replacement by a method ``reparameterize()``. ``model`` may itself be such a module; it is not
    modified.
    """
    return _replace(copy.deepcopy(model).eval())


def _replace(module: nn.Module) -> nn.Module:
    # timm's methods of this name work in place on its own convolutions, which may have been replaced.
    if hasattr(module, "reparameterize") and not type(module).__module__.startswith("timm."):
        return module.reparameterize().eval()  # pyright: ignore[reportCallIssue]
    for name, child in list(module._modules.items()):
        if child is not None:
            module._modules[name] = _replace(child)
    return module
