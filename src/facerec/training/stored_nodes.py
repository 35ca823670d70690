"""Nodes of a configuration that is stored as plain values."""

from collections.abc import Iterator, Mapping
from typing import Any

from facerec.errors import InputError

_PLAIN = (str, int, float, bool, type(None))
# A run's configuration has about 150 values in five levels.
_MOST_VALUES, _MOST_LEVELS = 10_000, 20


def node_of(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a node of a configuration; empty if there is none."""
    node = config.get(name)
    return node if isinstance(node, dict) else {}


def class_name(node: Any) -> str | None:
    """Return the name of a node's class, without its module; None for a node without one."""
    target = node.get("_target_") if isinstance(node, dict) else None
    return None if target is None else str(target).rpartition(".")[2]


def plain_leaves(config: Any) -> Iterator[tuple[str, bool, Any]]:
    """Yield dotted key, whether it is a ``_target_``, and value, of everything in ``config`` that is no container.

    Raises `InputError` for what no configuration holds.
    """
    pending, count = [("", False, 0, config)], 0
    while pending:
        place, is_target, level, value = pending.pop()
        count += 1
        if level > _MOST_LEVELS or count > _MOST_VALUES:
            raise InputError("the configuration in the file has too many values or levels: use a file of facerec")
        if is_target or type(value) in _PLAIN:
            yield place, is_target, value
        else:
            pending += [
                (f"{place}.{key}".lstrip("."), key == "_target_", level + 1, v) for key, v in _items(value, place)
            ]


def _items(value: Any, place: str) -> Iterator[tuple[str | int, Any]]:
    if type(value) in (list, tuple):
        return enumerate(value)
    if type(value) is dict and all(type(key) is str for key in value):
        return iter(value.items())
    kind = "a dictionary with keys that are no text" if isinstance(value, dict) else f"a {type(value).__name__}"
    raise InputError(f"the configuration in the file holds {kind} (config key {place}): use a file of facerec")
