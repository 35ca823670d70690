"""Training form to inference form."""

import copy
from collections.abc import Callable

from torch import nn

from facerec.operators.base import SpatialOperator


def reparameterize(model: nn.Module) -> nn.Module:
    """A copy of ``model`` in evaluation mode in which every module that has a cheaper inference form is replaced by it.

    The form is `SpatialOperator.inference_form`. The model itself is left as it was; ``model`` may be such a
    module.
    """
    return replaced(copy.deepcopy(model).eval(), lambda operator: operator.inference_form())


def replaced(module: nn.Module, form: Callable[[SpatialOperator], nn.Module]) -> nn.Module:
    """``module``, changed in place, or what takes its place, with the ``form`` of every operator; what is inside an
    operator is looked at where the form is the operator itself."""
    own = form(module) if isinstance(module, SpatialOperator) else module
    if own is not module:
        return own.eval()
    for name, child in list(module._modules.items()):
        if child is not None:
            module._modules[name] = replaced(child, form)
    return module
