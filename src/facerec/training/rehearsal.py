"""Whether an optimizer and its learning-rate schedule can go through a run, before its first step."""

import math
import warnings
from inspect import signature
from typing import Any

from torch.optim import LBFGS, Optimizer, SparseAdam
from torch.optim.lr_scheduler import CyclicLR, OneCycleLR

from facerec.errors import InputError
from facerec.training.learner import Learner
from facerec.training.parameter_groups import ParameterGroups

_MOST_EPOCHS = 10_000  # that are rehearsed


def rehearsed(learner: Learner, max_epochs: int | None) -> dict[str, Any]:
    """Build an optimizer and its schedule, step it through the epochs, and return the schedule's settings.

    Raises `InputError` for an optimizer that cannot train here, for a schedule that cannot be stepped once after each
    epoch, and for one that gives a learning rate which is negative or no number.
    """
    optimizer, schedule = learner.optimizer_and_schedule()
    if isinstance(optimizer, LBFGS | SparseAdam):
        raise InputError(
            f"optimizer {type(optimizer).__name__} cannot train convolutions: take torch.optim.SGD or AdamW"
        )
    if not hasattr(schedule, "step"):  # the user's own, in a form that Lightning reads
        return {}
    _refuse_one_rate(learner.groups, schedule)
    # Without an end only the first is known to come.
    epochs = min(max_epochs, _MOST_EPOCHS) if max_epochs is not None and max_epochs > 0 else 1
    for epoch in range(1, epochs + 1):
        _refuse_odd_rate(optimizer, schedule, epoch)
        _step(schedule, epoch, max_epochs)
    defaults = {name: option.default for name, option in signature(type(schedule)).parameters.items()}
    return {**defaults, **vars(schedule), **learner.config["lr_scheduler"]}


def _refuse_one_rate(groups: ParameterGroups, schedule: Any) -> None:
    if groups.lr_factor and isinstance(schedule, OneCycleLR | CyclicLR):
        raise InputError(
            f"lr_scheduler {type(schedule).__name__} sets the learning rate of all parameters, against "
            "parameter_groups.lr_factor: take lr_scheduler=cosine, poly or multistep, which have warmup_epochs"
        )


def _refuse_odd_rate(optimizer: Optimizer, schedule: Any, epoch: int) -> None:
    for rate in (float(group["lr"]) for group in optimizer.param_groups):
        if not 0 <= rate < math.inf:
            raise InputError(
                f"lr_scheduler {type(schedule).__name__} gives the learning rate {rate:g} in epoch {epoch}: "
                "change its settings, so that all rates are 0 or above and finite"
            )


def _step(schedule: Any, epoch: int, max_epochs: int | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing is trained between the steps
        try:
            schedule.step()
        except Exception as error:
            raise InputError(
                f"lr_scheduler {type(schedule).__name__} breaks off after epoch {epoch} of trainer.max_epochs="
                f"{max_epochs}, since it is stepped once after each epoch, without a metric ({error}): count its steps "
                "in epochs, or take lr_scheduler=multistep or cosine"
            ) from error
