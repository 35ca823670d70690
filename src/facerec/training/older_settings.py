"""What the settings of older versions mean today: they lack what came later, and some classes had other names."""

from inspect import signature
from pkgutil import resolve_name
from typing import Any

# Classes under their names in older versions, with their names of today.
MOVED = {
    "facerec.checkpoints.WholeCheckpoint": "facerec.training.checkpoints.WholeCheckpoint",
    "pytorch_lightning.Trainer": "facerec.training.trainer.Trainer",
    "torch.optim.lr_scheduler.MultiStepLR": "facerec.training.schedules.MultiStep",
}
# Nodes that older versions did not have, with what it did.
UNWRITTEN: dict[str, Any] = {
    "compile": False,
    "learner": {"_target_": "facerec.training.recognizer.Recognizer", "_partial_": True},
    "distillation": {},
    "parameter_groups": {
        "_target_": "facerec.training.parameter_groups.ParameterGroups",
        "weight_decay": None,
        "lr_factor": None,
        "freeze": [],
    },
}


def default_of(config: dict[str, Any], key: str) -> Any:
    """Return the value of setting ``key`` in a version that did not have it, where ``config`` has it: the default of
    the constructor, if that is one of facerec's; else None."""
    node, _, name = key.partition(".")
    if node in UNWRITTEN:
        return UNWRITTEN[node].get(name) if name else UNWRITTEN[node]
    try:
        target = config[node]["_target_"]
        default = signature(resolve_name(target)).parameters[name].default if target.startswith("facerec.") else None
    except (KeyError, TypeError, ValueError, ImportError, AttributeError):
        return None
    return list(default) if isinstance(default, tuple) else default


def with_names_of_today(node: Any) -> Any:
    """Return ``node`` with the class names in `MOVED` replaced, at any depth."""
    if isinstance(node, dict):
        return {key: MOVED.get(str(v), v) if key == "_target_" else with_names_of_today(v) for key, v in node.items()}
    return [with_names_of_today(item) for item in node] if isinstance(node, list) else node
