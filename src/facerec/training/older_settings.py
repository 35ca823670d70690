"""What the settings of older versions mean today: they lack what came later, and some classes had other names."""

from collections.abc import Sequence
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
    the constructor, if that is a plain one of facerec's; else None."""
    node, _, name = key.partition(".")
    if node in UNWRITTEN:
        return UNWRITTEN[node].get(name) if name else UNWRITTEN[node]
    try:
        target = config[node]["_target_"]
        default = signature(resolve_name(target)).parameters[name].default if target.startswith("facerec.") else None
    except (KeyError, TypeError, ValueError, ImportError, AttributeError):
        return None
    if isinstance(default, tuple):
        return list(default)
    return default if isinstance(default, bool | int | float | str) else None


def with_settings_of_today(configs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return copies of ``configs`` with the names of today, and with what older versions among them did not write: the
    nodes that another one has, and the settings that another one has in a node of the same class."""
    today = [with_names_of_today(config) for config in configs]
    nodes = {node for config in today for node in config}
    for config in today:
        config |= {node: UNWRITTEN[node] for node in UNWRITTEN if node in nodes and node not in config}
    known = {(node, str(of.get("_target_")), name) for config in today for node, of in _nodes(config) for name in of}
    for config in today:
        for node, of in _nodes(config):
            names = sorted(name for its, target, name in known if (its, target) == (node, str(of.get("_target_"))))
            missing = {name: default_of(config, f"{node}.{name}") for name in names if name not in of}
            config[node] = of | {name: default for name, default in missing.items() if default is not None}
    return today


def _nodes(config: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(key, value) for key, value in config.items() if isinstance(value, dict)]


def written(node: Any) -> Any:
    """Return ``node`` without settings that are null, at any depth: an older version may not have written them."""
    if not isinstance(node, dict):
        return node
    return {key: written(value) for key, value in node.items() if value is not None}


def with_names_of_today(node: Any) -> Any:
    """Return ``node`` with the class names in `MOVED` replaced, at any depth."""
    if isinstance(node, dict):
        return {key: MOVED.get(str(v), v) if key == "_target_" else with_names_of_today(v) for key, v in node.items()}
    return [with_names_of_today(item) for item in node] if isinstance(node, list) else node
