"""What a configuration that was read from a file may hold: plain values, and the names of known classes.

Hydra calls whatever a ``_target_`` names, and a checkpoint or an exported file may come from anybody.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

from facerec.errors import InputError
from facerec.training.stored_nodes import plain_leaves

# Packages whose classes are known, though files in configs/ do not name all of them.
_PACKAGES = {
    "torch.optim": "torch.optim.",
    "torch.optim.lr_scheduler": "torch.optim.",
    "torchvision.transforms": "torchvision.transforms.",
    "torchvision.transforms.v2": "torchvision.transforms.",
}
_TARGET_LINE = re.compile(r"^\s*(?:- )?_target_: *([\w.]+)", re.MULTILINE)


def refuse_unknown(config: Any, named: frozenset[str]) -> None:
    """Raise `InputError` if ``config``, plain containers, names a target that is not known, or an interpolation.

    Known are the targets in ``named`` and the optimizers, schedules and transforms of PyTorch and torchvision. Nothing
    is built, and no module is imported for a name that is not known.
    """
    for place, is_target, value in plain_leaves(config):
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
