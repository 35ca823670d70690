"""Nodes of a configuration that is stored as plain values."""

from collections.abc import Mapping
from typing import Any


def node_of(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a node of a configuration; empty if there is none."""
    node = config.get(name)
    return node if isinstance(node, dict) else {}


def class_name(node: Any) -> str | None:
    """Return the name of a node's class, without its module; None for a node without one."""
    target = node.get("_target_") if isinstance(node, dict) else None
    return None if target is None else str(target).rpartition(".")[2]
