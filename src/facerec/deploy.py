"""Training form to inference form."""

import copy

from torch import nn

from facerec.operators.base import SpatialOperator


def reparameterize(model: nn.Module) -> nn.Module:
    """A copy of ``model`` in evaluation mode in which every module that has a cheaper inference form is replaced by it.

    The form is `SpatialOperator.inference_form`. The model itself is left as it was; ``model`` may be such a
    module.
    """
    return _replace(copy.deepcopy(model).eval())


def _replace(module: nn.Module) -> nn.Module:
    form = module.inference_form() if isinstance(module, SpatialOperator) else module
    if form is not module:
        return form.eval()
    for name, child in list(module._modules.items()):
        if child is not None:
            module._modules[name] = _replace(child)
    return module
