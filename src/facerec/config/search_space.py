"""The space of a hyper-parameter search, typed as settings of a run: ranges, and values with commas between them."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from facerec.config.overrides import parsed_overrides
from facerec.config.schema import is_text
from facerec.errors import InputError
from facerec.runs.folder import NOT_OF_A_CELL

_SCALES = ("log", "int")
_NAMED_BY_THE_SEARCH = (*NOT_OF_A_CELL, "hydra", "sweep")


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included: uniform, or uniform in the logarithm with ``log``."""

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def examples(self) -> tuple[str, ...]:
        """Return both ends as they are typed."""
        return as_value(self.low), as_value(self.high)

    def count(self) -> float:
        """Return the number of different values."""
        return self.high - self.low + 1 if self.integer else math.inf

    def __str__(self) -> str:
        scales = "".join(f":{scale}" for scale, given in zip(_SCALES, (self.log, self.integer), strict=True) if given)
        low, high = (as_value(end).removesuffix(".0") for end in (self.low, self.high))
        return f"{low}..{high}{scales}"


@dataclass(frozen=True)
class Choices:
    """Values without an order, as they are typed."""

    values: tuple[str, ...]

    def examples(self) -> tuple[str, ...]:
        return self.values

    def count(self) -> float:
        return len(self.values)

    def __str__(self) -> str:
        return ",".join(self.values)


@dataclass(frozen=True)
class Space:
    """What a search varies.

    Attributes:
        fixed: overrides of every trial.
        searched: what a sampler chooses, by key.
        compare: the key whose values are compared, each with a search of its own; None: there is one search.
        compared: those values; without ``compare`` the empty text alone.
        added: further overrides of every trial, which the search adds by itself.
    """

    fixed: tuple[str, ...]
    searched: dict[str, Range | Choices]
    compare: str | None
    compared: tuple[str, ...]
    added: tuple[str, ...] = ()

    def label(self, value: str) -> str:
        """Return how the search of a compared value is called: ``operator=tvconv``, or ``search``."""
        return f"{self.compare}={value}" if self.compare else "search"

    def typed(self, value: str, chosen: dict[str, str]) -> list[str]:
        """Return the settings of a compared value with these values of the searched keys, as the user would type."""
        of_value = [f"{self.compare}={value}"] if self.compare else []
        return [*self.fixed, *of_value, *(f"{key}={text}" for key, text in chosen.items())]

    def overrides(self, value: str, chosen: dict[str, str]) -> list[str]:
        """Return all overrides of a trial of a compared value, with these values of the searched keys."""
        return [*self.added, *self.typed(value, chosen)]

    def cells(self, value: str) -> Iterator[tuple[str, list[str]]]:
        """Yield settings that contain every choice and both ends of every range, one change at a time.

        Each comes with the argument that is at fault if it, and not the one before it, is refused; the first with "".
        """
        first = {key: variable.examples()[0] for key, variable in self.searched.items()}
        yield "", self.overrides(value, first)
        for key, variable in self.searched.items():
            for text in variable.examples()[1:]:
                yield f"{key}={variable}", self.overrides(value, first | {key: text})


def as_value(number: float) -> str:
    """Return a number as it is typed in an override, to the last digit."""
    return repr(number)


def parse_space(arguments: Sequence[str], compare: str | None, trials: int) -> Space:
    """Return the space that the settings of a run describe.

    ``KEY=LOW..HIGH`` is a range, with ``:log`` and ``:int`` after it if it is logarithmic or of integers; ``KEY=A,B``
    are choices; all other settings are fixed. ``compare`` is the key whose choices are compared, ``operator`` if it has
    several and none is given. Raises `InputError` for what is no space, and for more ``trials`` than settings.
    """
    fixed: list[str] = []
    searched: dict[str, Range | Choices] = {}
    for argument in arguments:
        key, _, value = argument.partition("=")
        _refuse_own(argument)
        variable = _variable(key, value, argument)
        if variable is None:
            fixed.append(argument)
        elif key in searched:
            raise InputError(f"{key} is searched twice: give it one range, or one list of values")
        else:
            searched[key] = variable
    compare = compare or ("operator" if isinstance(searched.get("operator"), Choices) else None)
    return _space(tuple(fixed), searched, compare, trials)


def _space(fixed: tuple[str, ...], searched: dict[str, Range | Choices], compare: str | None, trials: int) -> Space:
    for argument in fixed:
        if argument.partition("=")[0] in searched:
            raise InputError(f"{argument} sets what is searched as well: leave one of them out")
    values = ("",)
    if compare is not None:
        compared = searched.pop(compare, None)
        if not isinstance(compared, Choices):
            raise InputError(f"compare={compare} needs several values of it: add {compare}=A,B")
        values = compared.values
    if not searched:
        raise InputError("nothing is searched: give a setting a range, such as optimizer.lr=0.01..0.3:log")
    settings = math.prod(variable.count() for variable in searched.values())
    if trials > settings:
        raise InputError(
            f"trials={trials} are more than the {settings:g} settings there are to try: lower it, or run each of them "
            "with facerec train -m"
        )
    return Space(fixed, searched, compare, values)


def _refuse_own(argument: str) -> None:
    root = re.split(r"[=.@/]", argument.lstrip("+~"), maxsplit=1)[0]
    if root in _NAMED_BY_THE_SEARCH:
        raise InputError(f"{argument} is set by the search, which names and resumes its runs: leave it out, give out=")


def _variable(key: str, value: str, argument: str) -> Range | Choices | None:
    """Return what an argument searches, or None if it is a fixed setting."""
    text = value[1:-1] if len(value) > 1 and value[0] == value[-1] in "'\"" else value
    if not is_text(key.lstrip("+")) and re.fullmatch(r"[^\[\]{}/,]*\d\s*\.\.[^.\[\]{}/,][^\[\]{}/,]*", text):
        return _range(key, text)
    (override,) = parsed_overrides([argument])
    if not override.is_sweep_override():
        return None
    if not override.is_discrete_sweep() or "glob(" in value:
        raise InputError(f"{argument} is no list of values: write them with commas between them, or LOW..HIGH")
    values = tuple(str(each) for each in override.sweep_string_iterator())
    if len(values) < 2 or len(set(values)) < len(values):
        raise InputError(f"{argument} must have two values or more, each once: write {key}=A,B")
    return Choices(values)


def _range(key: str, text: str) -> Range:
    ends, *scales = text.split(":")
    unknown = [scale for scale in scales if scale not in _SCALES]
    if unknown or len(set(scales)) < len(scales):
        raise InputError(f"{key}={text} has an unknown or repeated scale: after LOW..HIGH write :log, :int, or both")
    low, high = (_number(end, "int" in scales, f"{key}={text}") for end in ends.split("..", 1))
    if low >= high:
        raise InputError(f"{key}={text} has no numbers in it: write LOW..HIGH with the lower number first")
    if "log" in scales and low <= 0:
        raise InputError(f"{key}={text} begins at {low:g}, which has no logarithm: begin above 0, or leave :log out")
    return Range(low, high, "log" in scales, "int" in scales)


def _number(text: str, integer: bool, argument: str) -> float:
    try:
        number = int(text) if integer else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        kind = "integers" if integer else "numbers"
        raise InputError(f"{argument} must have {kind} at both ends, got {text!r}: write LOW..HIGH")
    return number
