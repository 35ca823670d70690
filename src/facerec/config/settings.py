"""Parse a command's settings, KEY=VALUE on the command line, into a dataclass."""

import json
import re
import shlex
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields
from math import inf, isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from facerec.config.schema import LISTS_OF_TEXT, OVERLAY_GROUPS, PATHS, ROOT_KEYS, is_group, is_path, is_text
from facerec.errors import InputError, suggestion
from facerec.files import check_output_file, check_output_folder, in_home
from facerec.handlers import INTERRUPTED
from facerec.process import is_interrupt

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
_MARKS = frozenset(",='\"[]{}$")  # of Hydra's grammar: a value with one of them is left as typed


def quoted(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with quotes around values that Hydra would not take as they were typed.

    These are plain values that its grammar refuses, such as non-ASCII paths, and all values of keys that are text:
    ``name=2024_11_05`` is no number, nor is ``experiment=2024_11``, and a path may have ``=`` and ``,``. With ``-m``,
    commas separate the values of a sweep, except in the name of an existing file or folder.
    """
    in_sweep = not {"-m", "--multirun"}.isdisjoint(arguments)
    return [_quoted(argument, in_sweep) for argument in arguments]


def _quoted(argument: str, in_sweep: bool) -> str:
    key, equals, value = argument.partition("=")
    if argument[:1] == "-" or not equals:
        return argument
    name = key.lstrip("+")
    if is_path(name) and name not in PATHS:  # those are read by ourselves
        value = in_home(value)
    is_list = value[:1] == "[" and value[-1:] == "]" and not set("[]{}'\"$") & set(value[1:-1])
    if is_list and (name in LISTS_OF_TEXT or is_group(name)):
        return f"{key}=[{','.join(map(_as_text, value[1:-1].split(',')))}]"
    is_switch = name.endswith("cache") and value in ("true", "false")  # no folder: the types refuse it
    if is_text(name) and not is_switch and not _is_grammar(name, value, in_sweep):
        one_path = is_path(name) and not (in_sweep and not Path(value).exists())
        return f"{key}={','.join(map(_as_text, [value] if one_path else value.split(',')))}"
    if _MARKS & set(value) or _is_understood(argument):
        return argument
    in_quotes = f"{key}='{value}'"
    return in_quotes if _is_understood(in_quotes) else argument


def _is_grammar(name: str, value: str, in_sweep: bool) -> bool:
    """Whether a text is quoted already, has an interpolation or is a function of a sweep, or sets a whole node."""
    if is_group(name) and _MARKS - {","} & set(value):
        return True
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    is_function = re.match(r"(choice|range|glob|shuffle|sort)\(", value) is not None
    return is_quoted or "${" in value or (is_function and (in_sweep or is_group(name)))


def _as_text(value: str) -> str:
    """Return ``value`` in quotes, unless Hydra reads it as the text that it is, or it is null or empty."""
    value = value.strip()
    try:
        read = OverridesParser.create().parse_overrides([f"key={value}"])[0].value()
    except OverrideParseException:
        read = None
    if value in ("", "null") or read == value:
        return value
    # Hydra reads backslashes as they are, except those before a quote.
    escaped = re.sub(r"(\\*)('|$)", lambda m: 2 * m[1] + ("\\'" if m[2] else ""), value)
    return f"'{escaped}'"


def as_typed(arguments: Sequence[str]) -> list[str]:
    """Return the arguments as typed in a shell: without the quotes of `quoted`, in those that a shell needs."""
    return [_as_typed(argument) for argument in arguments]


def _as_typed(argument: str) -> str:
    key, _, value = argument.partition("=")
    plain = f"{key}={value[1:-1]}"
    if quoted([plain]) == [argument]:
        argument = plain
    return argument if re.fullmatch(r"[\w@%+=:,./\[\]{}~-]+", argument) else shlex.quote(argument)


def _is_understood(argument: str) -> bool:
    try:
        OverridesParser.create().parse_overrides([argument])
    except OverrideParseException:
        return False
    return True


def setting(
    help: str,
    default: Any = MISSING,
    *,
    word: bool = False,
    written: bool | Literal["folder"] = False,
    least: float = -inf,
    most: float = inf,
) -> Any:
    """Define a field of a command's settings, described by ``help`` and required unless it has a ``default``.

    With ``word``, ``KEY=`` may be left out; the file of one that is ``written``, or the folder, is checked before the
    work; ``least`` and ``most`` bound a number. The field's type is str, Path, int,
    float, bool or a Literal, optionally ``| None``, or a tuple of one of them.
    """
    return field(
        default=default, metadata={"help": help, "word": word, "written": written, "least": least, "most": most}
    )


def run_settings(help: str, *groups: str) -> Any:
    """Define the field, a tuple of str, for overrides of a run's settings: of these root keys and groups, or of all."""
    return field(default=(), metadata={"help": help, "groups": groups or (*ROOT_KEYS, *OVERLAY_GROUPS)})


def parse(kind: type[T], arguments: Sequence[str]) -> T:
    """Parse ``arguments``; raise `InputError` for an unknown or missing setting, or a value of the wrong type."""
    own = {f.name: f for f in fields(kind) if "groups" not in f.metadata}
    run = next((f for f in fields(kind) if "groups" in f.metadata), None)
    groups = run.metadata["groups"] if run else ()
    types, texts, of_run = get_type_hints(kind), defaultdict[str, list[str]](list), list[str]()
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if equals and key in own:
            texts[key].append(text)
        elif any(key.lstrip("+~") == g or key.lstrip("+~").startswith((f"{g}.", f"{g}@")) for g in groups):
            of_run.append(argument)
        elif not (_is_key(key) and equals) and (free := _free_word(own, types, texts)) and argument[:1] != "-":
            texts[free].append(argument)
        else:
            raise InputError(_refusal(argument, types, arguments, [*own, *groups]))
    values = {key: _value(own[key], types[key], given) for key, given in texts.items()}
    _refuse_one_file({key: value for key, value in values.items() if own[key].metadata["written"] is True and value})
    for key, f in own.items():
        if f.default is MISSING and key not in values:
            raise InputError(f"no {key} given: add {key}=...")
        if f.metadata["written"] and values.get(key) is not None:
            check = check_output_folder if f.metadata["written"] == "folder" else check_output_file
            check(values[key], f"{key}={values[key]}")
    return kind(**values, **({run.name: tuple(quoted(of_run))} if run else {}))


def measured_by(command: str, settings: Any) -> str:
    """Return ``command`` as one types it, words first, with what decides what it finds: the ``settings`` that are not
    as by default, without the files that it writes."""
    given = [f for f in fields(settings) if not f.metadata.get("written") and getattr(settings, f.name) != f.default]
    given.sort(key=lambda f: not f.metadata.get("word"))
    return " ".join([command, *(word for f in given for word in _typed(f, getattr(settings, f.name)))])


def _typed(f: Field[Any], value: Any) -> list[str]:
    """Return the words of a shell that give ``f`` the ``value``."""
    if f.metadata.get("word"):
        return [shlex.quote(str(word)) for word in (value if isinstance(value, tuple) else (value,))]
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return [shlex.quote(f"{f.name}={text.lower() if isinstance(value, bool) else text}")]


def _refuse_one_file(written: Mapping[str, Path]) -> None:
    """Raise `InputError` if two settings name one file, since the second would replace what the first wrote."""
    files: dict[Path, str] = {}
    for key, path in written.items():
        other = files.setdefault(path.resolve(), key)
        if other != key:
            raise InputError(f"{other}={path} and {key}={path} are one file: write each to its own")


def _is_key(text: str) -> bool:
    return re.fullmatch(r"[~+]*[\w.@-]+", text) is not None


def _free_word(own: Mapping[str, Field[Any]], types: Mapping[str, Any], texts: Mapping[str, list[str]]) -> str | None:
    """Return the setting that the next bare word sets: the first one that has no value yet or takes several."""
    words = (key for key, f in own.items() if f.metadata["word"])
    return next((key for key in words if key not in texts or get_origin(types[key]) is tuple), None)


def _refusal(argument: str, types: Mapping[str, Any], arguments: Sequence[str], known: list[str]) -> str:
    """Return why ``argument`` is not a setting, and how a flag is written as one."""
    key, equals, text = argument.partition("=")
    if argument.startswith("-"):
        name = key.lstrip("-").replace("-", "_")
        following = (*arguments[arguments.index(argument) + 1 :], "VALUE")[0]
        if name not in types:
            return f"{argument!r} is not a setting: write KEY=VALUE; {suggestion(name, known)}"
        written, value = (argument, text) if equals else (key, "true") if types[name] is bool else (None, following)
        return f"{written or f'{key} {value}'} is written {name}={value}"
    if not equals and key in known:
        return f"{argument!r} has no value: write {key}=VALUE"
    if not equals:
        return f"{argument!r} is not a setting: write KEY=VALUE; {suggestion(key, known)}"
    root = key.lstrip("+~").partition(".")[0]
    of_run = ", of a run's settings" if root in ROOT_KEYS else ""
    return f"{argument!r} is not taken here{of_run}; {suggestion(key if '.' not in key else root, known)}"


def _value(f: Field[Any], kind: Any, texts: list[str]) -> Any:
    """Convert the values given for one key; the last one counts if the setting takes one."""
    if get_origin(kind) is not tuple:
        return _converted(f, kind, texts[-1])
    item = get_args(kind)[0]
    if item is not Path:  # a path may contain commas
        texts = [one for text in texts for one in text.strip("[]").split(",")]
    return tuple(_converted(f, item, text) for text in texts)


def _converted(f: Field[Any], kind: Any, text: str) -> Any:
    if type(None) in get_args(kind):
        kind = next(member for member in get_args(kind) if member is not type(None))
    choices = {"true": True, "false": False} if kind is bool else {choice: choice for choice in get_args(kind)}
    if choices:
        if text not in choices:
            raise InputError(f"{f.name} must be {' or '.join(choices)}, got {text!r}")
        return choices[text]
    if kind in (int, float):
        return _number(f, kind, text)
    if not text:
        raise InputError(f"{f.name}= has no value: give one, or leave {f.name} out")
    return Path(in_home(text)) if kind is Path else kind(text)


def _number(f: Field[Any], kind: type[int] | type[float], text: str) -> int | float:
    least, most = f.metadata["least"], f.metadata["most"]
    try:
        number = kind(text)
    except ValueError:
        number = nan
    if isfinite(number) and least <= number <= most:
        return number
    limits = f" of at least {least}" if most == inf else f" between {least} and {most}"
    what = ("an integer" if kind is int else "a number") + (limits if least > -inf else "")
    raise InputError(f"{f.name} must be {what}, got {text!r}")


def command(kind: type[T], work: Callable[[T], Any]) -> Callable[[list[str]], int]:
    """Return a command's ``main``, which calls ``work`` with the parsed settings and returns the exit status.

    If ``work`` returns an int, that is the status; another value, except None, is printed as a line of JSON. An
    `InputError` is printed, with status 1. Ctrl-C prints the message of the KeyboardInterrupt, or the settings class's
    attribute ``interrupted``, with status 130.
    """

    def main(arguments: list[str]) -> int:
        try:
            result = work(parse(kind, arguments))
        except InputError as error:
            return _ended(str(error), 1)
        except (KeyboardInterrupt, SystemExit) as ended:
            sentence = (
                ended.args[0] if type(ended) is KeyboardInterrupt and ended.args else getattr(kind, "interrupted", "")
            )
            if not is_interrupt(ended) or not sentence:
                raise
            return _ended(sentence, INTERRUPTED)
        if isinstance(result, int):
            return result
        if result is not None:
            print(json.dumps(result))
        return 0

    return main


def subcommands(
    choices: Mapping[str, Callable[[list[str]], int]], default: Callable[[list[str]], int] | None = None
) -> Callable[[list[str]], int]:
    """Return the ``main`` of a command whose first word selects a subcommand, else the ``default``."""

    def main(arguments: list[str]) -> int:
        word = arguments[0] if arguments else ""
        if word in choices:
            return choices[word](arguments[1:])
        if default is not None:
            return default(arguments)
        return _ended(f"the first word must be one of {', '.join(choices)}, got {repr(word) if word else 'none'}", 1)

    return main


def _ended(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status
