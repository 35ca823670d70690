"""Whether the state in a checkpoint is what a run restores: Lightning leaves out what it does not find, silently."""

import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from torch import Tensor
from torch.optim import Optimizer

from facerec.errors import InputError

_NEEDED = {
    "pytorch-lightning_version": str,
    "global_step": int,
    "loops": dict,
    "callbacks": dict,
    "lr_schedulers": list,
}
_REMEDY = "resume from a checkpoint of facerec train, or start without resume"
_PROGRESS = (
    ("loops", "fit_loop", "epoch_progress", "current", "started"),
    ("loops", "fit_loop", "epoch_progress", "current", "processed"),
    ("loops", "fit_loop", "epoch_loop.batch_progress", "is_last_batch"),
)
_VERSION = re.compile(r"([2-9]|\d\d)\.\d+")  # older ones are of before this project
# State of Lightning's ModelCheckpoint that it does not do without.
_OF_FILES = {"dirpath", "best_model_path", "best_model_score", "best_k_models", "kth_best_model_path", "kth_value"}
# State of an optimizer that has the shape of its weight.
_OF_A_WEIGHT = ("momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "square_avg", "prev")


def refuse_odd_progress(content: dict[str, Any], name: str) -> None:
    """Raise `InputError` if the checkpoint ``name`` lacks what a run needs to go on, or has another kind of it."""
    for key, kind in _NEEDED.items():
        if not isinstance(content.get(key), kind):
            _refuse(name, key, content.get(key))
    if not _VERSION.match(content["pytorch-lightning_version"]):
        _refuse(name, "pytorch-lightning_version", content["pytorch-lightning_version"])
    for key, state in content["callbacks"].items():
        if not isinstance(state, dict) or (key.startswith("ModelCheckpoint") and not state.keys() >= _OF_FILES):
            _refuse(name, f"callbacks.{key}", state)
    for path in _PROGRESS:
        value: Any = content
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        if not isinstance(value, int):
            _refuse(name, ".".join(path), value)


def is_averaged(checkpoint: dict[str, Any]) -> bool:
    """Return whether the checkpoint has an average of the weights, and the weights with which training goes on.

    Raises `InputError` if its configuration says so and one of the two is not there.
    """
    keys = ("averaging_state", "current_model_state")
    trainer = checkpoint["config"].get("trainer")
    if not isinstance(trainer, dict) or trainer.get("ema") is None:
        return False
    for key in keys:
        states = checkpoint.get(key)
        if not isinstance(states, dict) or not all(isinstance(value, Tensor) for value in states.values()):
            _refuse("the checkpoint", key, states)
    if "n_averaged" not in checkpoint[keys[0]]:
        _refuse("the checkpoint", f"{keys[0]}.n_averaged", None)
    return True


def refuse_odd_state(checkpoint: dict[str, Any], optimizer: Optimizer, schedule: Any, progress: dict[str, Any]) -> None:
    """Raise `InputError` unless ``optimizer`` and ``schedule``, which are thrown away, can take the checkpoint's state,
    and unless all numbers of the loop's ``progress`` that it has are there."""
    for key in ("optimizer_states", "lr_schedulers"):
        states = checkpoint.get(key)
        if not isinstance(states, list) or len(states) != 1 or not isinstance(states[0], dict):
            _refuse("the checkpoint", key, states)
    _refuse_odd_optimizer(checkpoint["optimizer_states"][0], optimizer)
    fit = checkpoint["loops"]["fit_loop"]
    ours = {f"loops.fit_loop.{key}": (value, fit[key]) for key, value in progress.items() if key in fit}
    if hasattr(schedule, "state_dict"):
        # Version 0.1 stepped all schedules once per epoch.
        ours["lr_schedulers"] = (schedule.state_dict(), {"steps_per_epoch": 1} | checkpoint["lr_schedulers"][0])
    for place, (fresh, held) in ours.items():
        for odd, value in _odd(held, fresh, place):
            _refuse("the checkpoint", odd, value)


def _refuse_odd_optimizer(held: dict[str, Any], optimizer: Optimizer) -> None:
    fresh = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    try:
        optimizer.load_state_dict(held)
        values = [(weight, key, state.get(key)) for weight, state in optimizer.state.items() for key in _OF_A_WEIGHT]
    except Exception as error:
        raise InputError(f"the checkpoint has no state of this optimizer ({error!r}): {_REMEDY}") from error
    for weight, key, value in values:
        if value is not None and not (isinstance(value, Tensor) and value.shape == weight.shape):
            _refuse("the checkpoint", f"optimizer_states.{key}", getattr(value, "shape", value))
    for place, value in _odd(optimizer.param_groups, fresh, "optimizer_states.param_groups"):
        _refuse("the checkpoint", place, value)


def _odd(held: Any, fresh: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield place and value of everything in ``held`` that is missing or of another kind than in ``fresh``."""
    if isinstance(fresh, dict) and isinstance(held, dict):
        for key, value in fresh.items():
            yield from _odd(held.get(key), value, f"{place}.{key}")
    elif isinstance(fresh, list) and isinstance(held, list) and len(fresh) == len(held):
        for value, other in zip(held, fresh, strict=True):
            yield from _odd(value, other, place)
    elif isinstance(fresh, int | float):
        if not isinstance(held, int | float) or not math.isfinite(held):
            yield place, held
    elif isinstance(fresh, dict | list) or not (fresh is None or isinstance(held, type(fresh))):
        yield place, held


def _refuse(name: str, place: str, value: Any) -> NoReturn:
    raise InputError(f"{name} has {repr(value)[:60]} as {place}, with which no run can go on: {_REMEDY}")
