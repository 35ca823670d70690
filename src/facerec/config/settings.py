"""A program's own settings, KEY=VALUE, among those of the configuration."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from facerec.errors import InputError

_RUN_KEYS = ("data", "trainer", "protocol")
_MARKS = frozenset(",='\"[]{}$")  # of Hydra's grammar: who writes one of them means it


def quoted(arguments: Sequence[str]) -> list[str]:
    """The arguments as Hydra reads them: in quotes a value that is plain text, though its grammar refuses it, such as
    a path with letters beyond ASCII."""
    return [_quoted(argument) for argument in arguments]


def _quoted(argument: str) -> str:
    key, equals, value = argument.partition("=")
    if argument[:1] == "-" or not equals or _MARKS & set(value) or _is_understood(argument):
        return argument
    in_quotes = f"{key}='{value}'"
    return in_quotes if _is_understood(in_quotes) else argument


def _is_understood(argument: str) -> bool:
    try:
        OverridesParser.create().parse_overrides([argument])
    except OverrideParseException:
        return False
    return True


def take_own(arguments: list[str], defaults: Mapping[str, str | None]) -> tuple[dict[str, Any], list[str]]:
    """The program's own settings, those that are not given by their ``defaults``, and all other arguments, `quoted`."""
    own: dict[str, Any] = dict(defaults)
    others: list[str] = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key in defaults:
            own[key] = value
        else:
            others.append(argument)
    return own, quoted(others)


def split_arguments(
    arguments: list[str], program: str, defaults: Mapping[str, str | None], others: Sequence[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """The program's own settings, those that are not given by their ``defaults``, and the overrides for the trained
    configuration: of data, trainer, protocol, and ``others`` whole. `InputError` for anything else: the network is the
    checkpoint's."""
    own, overrides = take_own(arguments, defaults)
    for argument in overrides:
        key = argument.partition("=")[0]
        if key.lstrip("+").split(".")[0] not in _RUN_KEYS and key not in others:
            known = ", ".join([*defaults, *_RUN_KEYS, *others])
            raise InputError(f"{program} does not take {argument!r}: the network is the checkpoint's; it takes {known}")
    return own, overrides
