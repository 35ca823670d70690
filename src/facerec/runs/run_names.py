"""What tells runs apart: the network, and the settings in which their configurations differ."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

Config = dict[str, Any]
# What a node only repeats of the root, by the root's name for it.
_HOW = ("cache", "index_cache", "num_workers")  # how images get to the network, not what they are
_REPEATED = {key: key for key in ("width", "embedding_dim", "image_size")} | {"strength": "affine_strength"}


def network_parts(config: Config) -> tuple[str, str, str]:
    """Backbone with its width, operator and head."""
    backbone = config["backbone"]
    name = backbone["name"] if "name" in backbone else f"{_class_name(backbone)} x{backbone['width']:g}"
    return name, _class_name(config["operator"]), _class_name(config["head"])


def _class_name(node: Config) -> str:
    """Of what the node makes; none for a node that makes nothing."""
    return node.get("_target_", "none").rpartition(".")[2]


def run_names(configs: Sequence[Config]) -> list[str]:
    """A name for each configuration: operator and backbone; the head and other settings where they differ; where that
    is not enough the seed, and in the end a number."""
    names, parts = [], [network_parts(config) for config in configs]
    has_heads = len({head for _, _, head in parts}) > 1
    for (backbone, operator, head), settings in zip(parts, differing_settings(configs), strict=True):
        said = ("" if operator == "none" else operator, backbone, head if has_heads else "", settings)
        names.append(", ".join(filter(None, said)))
    names = _told_apart(names, [f"seed {config['seed']}" for config in configs])
    numbers = [f"number {Counter(names[: place + 1])[name]}" for place, name in enumerate(names)]
    return _told_apart(names, numbers)


def _told_apart(names: list[str], more: list[str]) -> list[str]:
    """With more said of those that are alike."""
    return [f"{name}, {word}" if names.count(name) > 1 else name for name, word in zip(names, more, strict=True)]


def differing_settings(configs: Sequence[Config]) -> list[str]:
    """For each configuration the settings, as one types them, in which it differs from others of the same backbone,
    operator and head.

    A node, such as a transform, differs where another configuration has none or one of another class; a plain setting
    where another has another value. What only an older version did not write is no difference.
    """
    alike: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    for config in configs:
        alike[network_parts(config)].append({key: value for key, value, _ in _settings(config, "")})
    found = []
    for config in configs:
        others = alike[network_parts(config)]
        varied = [
            f"{key}={value}"
            for key, value, is_node in _settings(config, "")
            if any(other.get(key, None if is_node else value) != value for other in others)
            and not _is_repeated(key, value, config)
        ]
        found.append(" ".join(varied))
    return found


def _settings(node: Config, prefix: str) -> Iterator[tuple[str, str, bool]]:
    """Dotted key, value as it is typed, and whether it is a node, whose value is its class; no seeds, no `_HOW`."""
    for key, value in node.items():
        if isinstance(value, dict):
            if "_target_" in value:
                yield prefix + key, _class_name(value), True
            yield from _settings(value, f"{prefix}{key}.")
        elif key != "seed" and key not in _HOW and key[0] != "_":
            yield prefix + key, _typed(value), False


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _is_repeated(key: str, value: str, root: Config) -> bool:
    """Whether a node only repeats the root's value, as a number or as both sides of a square."""
    nodes, _, name = key.rpartition(".")
    theirs = root.get(_REPEATED.get(name, ""))
    return bool(nodes) and theirs is not None and value in (_typed(theirs), _typed([theirs, theirs]))
