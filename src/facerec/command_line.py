"""What the programs that take a trained network read from their command line."""

from collections.abc import Sequence
from typing import Any

from facerec.errors import InputError

_RUN_KEYS = ("data", "trainer", "protocol")


def split_arguments(
    arguments: list[str], program: str, defaults: dict[str, str | None], others: Sequence[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """The program's own settings, those that are not given by their ``defaults``, and the overrides for the trained
    configuration: of data, trainer, protocol, and ``others`` whole. `InputError` for anything else: the network is the
    checkpoint's."""
    own, overrides = dict(defaults), []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key in defaults:
            own[key] = value
        elif key.lstrip("+").split(".")[0] in _RUN_KEYS or key in others:
            overrides.append(argument)
        else:
            known = ", ".join([*defaults, *_RUN_KEYS, *others])
            raise InputError(f"{program} does not take {argument!r}: the network is the checkpoint's; it takes {known}")
    return own, overrides
