"""What a configuration that was read from a file may hold: plain values, and the names of known classes.

Hydra calls whatever a ``_target_`` names, and a checkpoint or an exported file may come from anybody.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

from facerec.errors import InputError

# Packages whose classes are known, though files in configs/ do not name all of them.
_PACKAGES = {
    "torch.optim": "torch.optim.",
    "torch.optim.lr_scheduler": "torch.optim.",
    "torchvision.transforms": "torchvision.transforms.",
    "torchvision.transforms.v2": "torchvision.transforms.",
}
_TARGET_LINE = re.compile(r"^\s*(?:- )?_target_: *([\w.]+)", re.MULTILINE)
_PLAIN = (str, int, float, bool, type(None))
# A run's configuration has about 150 values in five levels.
_MOST_VALUES, _MOST_LEVELS = 10_000, 20


def refuse_unknown(config: Any, named: frozenset[str]) -> None:
    """Raise `InputError` if ``config``, plain containers, names a target that is not known, or an interpolation.

    Known are the targets in ``named`` and the optimizers, schedules and transforms of PyTorch and torchvision. Nothing
    is built, and no module is imported for a name that is not known.
    """
    for place, is_target, value in _leaves(config):
        if is_target and not (isinstance(value, str) and (value in named or _is_of_a_known_package(value))):
            raise InputError(_refusal(place, f"names {value!r}, which is no class that facerec's configurations name"))
        if isinstance(value, str) and "${" in value:
            raise InputError(_refusal(place, f"holds {value!r}, which would be computed"))


def targets_in(texts: Iterator[str]) -> frozenset[str]:
    """Return every ``_target_`` in the text of configuration files."""
    return frozenset(target for text in texts for target in _TARGET_LINE.findall(text))


def _refusal(place: str, what: str) -> str:
    return (
        f"the configuration in the file {what} (config key {place}): add trust=true if you "
        "trust whoever made the file, since it may then run any code"
    )


@cache
def _is_of_a_known_package(target: str) -> bool:
    """Return whether ``target`` is a class that is defined in one of the known packages, not only imported there."""
    module, _, name = target.rpartition(".")
    if module not in _PACKAGES:
        return False
    found = getattr(import_module(module), name, None)
    return isinstance(found, type) and f"{found.__module__}.".startswith(_PACKAGES[module])


def _leaves(config: Any) -> Iterator[tuple[str, bool, Any]]:
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
