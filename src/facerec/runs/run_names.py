"""Names that distinguish runs by network and by the settings in which they differ."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from facerec.training.older_settings import with_settings_of_today

Config = dict[str, Any]
_Typed = dict[str, tuple[str, bool]]  # by dotted key, the value as it is typed, and whether it is the class of a node
# Settings that change how a run is carried out, not its result.
HOW = ("seed", "cache", "index_cache", "shard_cache", "shard_cache_gb", "num_workers", "save_every", "grace")
# Keys of nodes that only repeat a root value, with the root's key.
_REPEATED = {key: key for key in ("width", "embedding_dim", "image_size")} | {"strength": "affine_strength"}


def network_parts(config: Config) -> tuple[str, str, str]:
    """Return the names of the backbone with its width or its encoder, the operator and the head."""
    backbone = config["backbone"]
    name = backbone["name"] if "name" in backbone else _class_name(backbone)
    name += f" x{backbone['width']:g}" if "name" not in backbone and "width" in backbone else ""
    name += f" {backbone['encoder']}" if "encoder" in backbone else ""
    return name, _class_name(config["operator"]), _class_name(config["head"])


def _class_name(node: Config) -> str:
    """Return the name of a node's class, "none" for a node without one."""
    return node.get("_target_", "none").rpartition(".")[2]


def run_names(configs: Sequence[Config]) -> list[str]:
    """Return a distinct name per configuration: operator and backbone; head and settings if they differ; if that is not
    enough, the seed, and finally a number."""
    names, parts = [], [network_parts(config) for config in configs]
    has_heads = len({head for _, _, head in parts}) > 1
    for (backbone, operator, head), settings in zip(parts, differing_settings(configs), strict=True):
        said = ("" if operator == "none" else operator, backbone, head if has_heads else "", settings)
        names.append(", ".join(filter(None, said)))
    names = _told_apart(names, [f"seed {config['seed']}" for config in configs])
    numbers = [f"number {Counter(names[: index + 1])[name]}" for index, name in enumerate(names)]
    return _told_apart(names, numbers)


def _told_apart(names: list[str], more: list[str]) -> list[str]:
    """Append ``more`` to the names that are not unique."""
    return [f"{name}, {word}" if names.count(name) > 1 else name for name, word in zip(names, more, strict=True)]


def differing_settings(configs: Sequence[Config]) -> list[str]:
    """Return, per configuration, the settings in which it differs from others of the same backbone, operator and head.

    A node, such as a transform, differs if another configuration lacks it or has another class; a plain setting differs
    if another one has another value. What more than half of these configurations have is not named. What an older
    version did not write is what it did, or is ignored.
    """
    configs = with_settings_of_today(configs)
    typed = [(network_parts(c), {k: (v, is_node) for k, v, is_node in _settings(c, "")}, c) for c in configs]
    alike: dict[tuple[str, ...], list[_Typed]] = defaultdict(list)
    for parts, own, _ in typed:
        alike[parts] += [own] if own not in alike[parts] else []
    varied = {parts: _Varied(others) for parts, others in alike.items()}
    return [" ".join(varied[parts].said(own, config)) for parts, own, config in typed]


class _Varied:
    """What varies among configurations that are alike and all differ."""

    def __init__(self, alike: Sequence[_Typed]) -> None:
        values: dict[str, Counter[str]] = defaultdict(Counter)
        for key, (value, _) in (item for each in alike for item in each.items()):
            values[key][value] += 1
        self._nodes = {key for each in alike for key, (_, is_node) in each.items() if is_node}
        self._keys = {k for k, c in values.items() if len(c) > 1 or (k in self._nodes and c.total() < len(alike))}
        most = {key: counts.most_common(1)[0] for key, counts in values.items()}
        self._usual = {key: value for key, (value, number) in most.items() if 2 * number > len(alike)}

    def said(self, own: _Typed, config: Config) -> Iterator[str]:
        """Yield what varies in ``config``, whose settings are ``own``, and is not what most of them have."""
        for key, (value, _) in own.items():
            if key in self._keys and value != self._usual.get(key) and not repeats_root(key, value, config):
                yield f"{key}={value}"
        yield from (f"{key}=none" for key in self._usual if key in self._nodes and key not in own)


def settings_of(node: Config) -> dict[str, str]:
    """Return all settings by dotted key, as they are typed; a node with a class has its name as value."""
    return {key: value for key, value, _ in _settings(node, "")}


def varied_settings(configs: Sequence[Config]) -> list[dict[str, str]]:
    """Return, per configuration, the settings whose values are not the same in all, "" where one lacks a setting or
    only repeats a root value."""
    configs = with_settings_of_today(configs)
    found = [
        {key: value for key, value in settings_of(config).items() if not repeats_root(key, value, config)}
        for config in configs
    ]
    keys = dict.fromkeys(key for each in found for key in each)
    varied = [key for key in keys if len({each.get(key) for each in found}) > 1]
    return [{key: each.get(key, "") for key in varied} for each in found]


def _settings(node: Config, prefix: str) -> Iterator[tuple[str, str, bool]]:
    """Yield dotted key, value as typed, and whether it is a node (its value is the class); without `HOW`."""
    for key, value in node.items():
        if isinstance(value, dict):
            if "_target_" in value:
                yield prefix + key, _class_name(value), True
            yield from _settings(value, f"{prefix}{key}.")
        elif key not in HOW and key[0] != "_":
            yield prefix + key, _typed(value), False


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def repeats_root(key: str, value: str, root: Config) -> bool:
    """Return whether setting ``key`` of a node repeats the root's value, as a number or as both sides of a square."""
    nodes, _, name = key.rpartition(".")
    theirs = root.get(_REPEATED.get(name, ""))
    return bool(nodes) and theirs is not None and value in (_typed(theirs), _typed([theirs, theirs]))


def with_origin(settings: str, config: Config) -> str:
    """Return ``settings`` with the weights a run started from and its teacher, which its number always depends on."""
    origin = [f"{key}={config[key]}" for key in ("init", "teacher") if config.get(key)]
    return " ".join([settings, *(each for each in origin if each not in settings)]).strip()
