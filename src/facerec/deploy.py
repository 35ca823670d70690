"""Training form to inference form."""

import copy

from torch import nn


def reparameterize(model: nn.Module) -> nn.Module:
    """A copy of ``model`` in evaluation mode in which every module that has a cheaper inference form is replaced by it.

    A module offers the form as ``reparameterize()``. The model itself is left as it was; ``model`` may be such a
    module.
    """
    return _replace(copy.deepcopy(model).eval())


def _replace(module: nn.Module) -> nn.Module:
    # timm has methods of this name that work in place on its own convolutions, which may have been replaced.
    if hasattr(module, "reparameterize") and not type(module).__module__.startswith("timm."):
        return module.reparameterize().eval()  # pyright: ignore[reportCallIssue]
    for name, child in list(module._modules.items()):
        if child is not None:
            module._modules[name] = _replace(child)
    return module
