"""Check the values of a configuration node against the types of its constructor's parameters."""

import collections.abc
import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from hydra.utils import get_object

from facerec.checks import check_number
from facerec.errors import InputError, suggestion

_PLAIN = {bool: "true or false", int: "an integer", float: "a number", str: "text", type(None): "null"}
_LISTS = (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_UNIONS = (typing.Union, types.UnionType)
# From and to which values train, where the library that takes them does not check it.
_LIMITS = {
    "optimizer.lr": (0.0, float("inf")),
    "optimizer.momentum": (0.0, 1.0),
    "optimizer.weight_decay": (0.0, float("inf")),
    "lr_scheduler.gamma": (0.0, float("inf")),
    "lr_scheduler.T_max": (1.0, float("inf")),
    "lr_scheduler.warmup_epochs": (0.0, float("inf")),
    "trainer.accumulate_grad_batches": (1.0, float("inf")),
    "trainer.check_val_every_n_epoch": (1.0, float("inf")),
    "trainer.gradient_clip_val": (0.0, float("inf")),
    "trainer.ema": (0.0, 1.0),
    "trainer.grace": (0.0, float("inf")),
}


def check_node(node: Any, key: str) -> None:
    """Check the values of ``node``, a resolved plain container, and of the nodes inside it; ``key`` is its place.

    Raises `InputError` for a key that the constructor does not take, for a value of another type than its parameter's,
    for a number that nothing can be trained with, and for text with a NUL character. Values that are missing, and types
    that are objects, are left to the constructor.
    """
    if isinstance(node, Mapping):
        if "_target_" in node:
            _check_arguments(node, key)
        for name, part in node.items():
            check_node(part, f"{key}.{name}")
    elif isinstance(node, list):
        for part in node:
            check_node(part, key)
    elif isinstance(node, str) and "\0" in node:
        raise InputError(f"{key}={node} has a NUL character, which no path and no name can have: write it without")


def check_classes(config: Mapping[str, Any]) -> None:
    """Raise `InputError` if a node at the root of ``config``, from which something is built, names no class."""
    required = ("backbone", "data", "optimizer", "lr_scheduler", "parameter_groups", "trainer", "learner")
    for key in ("head", "operator", "distillation", *required):
        node = config.get(key)
        if node or key in required:
            check_class(node.get("_target_") if isinstance(node, Mapping) else None, key)


def check_class(target: Any, key: str) -> None:
    """Raise `InputError` if ``target``, the ``_target_`` of the node ``key``, is no name."""
    if not isinstance(target, str) or not target:
        raise InputError(
            f"{key}._target_ must be the name of a class, got {_typed(target)}: leave {key}._target_ as it is in "
            "configs/, or write one with its module"
        )


def _check_size(place: str, value: Any) -> None:
    sides = value if isinstance(value, list) else [value]
    wrong = [side for side in sides if not _is_plain(side, int) or side < 1]
    if wrong or not isinstance(value, list) or len(value) != 2:
        side = next((side for side in sides if side not in wrong), 112)
        remedy = f"write {place}=[{side},{side}]"
        raise InputError(f"{place} must be a height and a width in pixels, got {_typed(value)}: {remedy}")


def _check_arguments(node: Mapping[str, Any], key: str) -> None:
    check_class(node["_target_"], key)
    try:
        constructor = get_object(node["_target_"])
        parameters = inspect.signature(constructor).parameters
    except Exception:  # whatever its import raises: the one that calls it says so
        return
    hints, takes_all = _hints(constructor), any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name, value in node.items():
        place = f"{key}.{name}"
        if name.startswith("_") or value == "???":
            continue
        if name not in parameters and not takes_all:
            near = suggestion(name, [known for known in parameters if known not in node])
            raise InputError(f"{constructor.__name__} takes no {name}: leave it out with ~{place}; {near}")
        if name == "image_size" and hints.get(name) == collections.abc.Sequence[int]:
            _check_size(place, value)
        if name in hints and not fits(value, hints[name]):
            remedy = _remedy(place, value, hints[name])
            raise InputError(f"{place} must be {_described(hints[name])}, got {_typed(value)}{remedy}")
        if place in _LIMITS and value is not None:
            _check_limits(place, value)


def _check_limits(place: str, value: Any) -> None:
    least, most = _LIMITS[place]
    try:
        check_number(place, value, least, most)
    except ValueError as error:
        raise InputError(str(error)) from error


def _hints(constructor: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of the parameters, or none where a module names them for type checkers only."""
    function = constructor.__init__ if inspect.isclass(constructor) else constructor
    try:
        return typing.get_type_hints(function, localns=vars(collections.abc) | vars(typing))
    except (NameError, TypeError, AttributeError):
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Whether the plain ``value`` is of the type ``hint``; an integer is a number, and true and false are neither."""
    origin = typing.get_origin(hint) or hint
    if hint is Any or isinstance(hint, typing.TypeVar) or (isinstance(value, Mapping) and "_target_" in value):
        return True
    if origin in _UNIONS:
        return any(fits(value, member) for member in typing.get_args(hint))
    if origin is typing.Literal:
        return any(type(value) is type(choice) and value == choice for choice in typing.get_args(hint))
    if origin in _PLAIN:
        return _is_plain(value, origin)
    if origin in _LISTS:
        members = [member for member in typing.get_args(hint) if member is not ...] or [Any]
        return isinstance(value, list) and all(any(fits(item, member) for member in members) for item in value)
    if isinstance(origin, type) and issubclass(origin, PurePath | Enum):
        return isinstance(value, str)
    # Mappings of objects, functions and the like: the constructor knows more.
    is_open = not isinstance(origin, type) or origin is collections.abc.Callable or issubclass(origin, Mapping)
    return is_open or isinstance(value, (Mapping, list, origin))


def _is_plain(value: Any, kind: type) -> bool:
    kinds = (int, float) if kind is float else kind
    return isinstance(value, kinds) and (kind is bool or not isinstance(value, bool))


def _described(hint: Any) -> str:
    """Return the values that ``hint`` allows, in words."""
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if origin in _UNIONS:
        return " or ".join(dict.fromkeys(text for text in map(_described, members) if text))
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, members))}"
    if origin in _LISTS:
        inner = " or ".join(text for member in members if (text := _described(member)))
        return f"a list, each {inner}" if inner else "a list"
    if hint in _PLAIN:
        return _PLAIN[hint]
    return _PLAIN[str] if isinstance(hint, type) and issubclass(hint, PurePath | Enum) else ""


def _typed(value: Any) -> str:
    return repr(value) if isinstance(value, str) else json.dumps(value, default=str)


def _remedy(place: str, value: Any, hint: Any) -> str:
    """Return how the value is written as text or as a list, if that is what is wanted."""
    if isinstance(value, bool | list | None):
        return ""
    if fits(str(value), hint):
        return f": put the text that you mean in quotes, as in \"{place}='TEXT'\""
    return f": write {place}=[{value}]" if fits([value], hint) else ""
