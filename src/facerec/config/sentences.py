"""Errors of Hydra and OmegaConf, each in one sentence."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.utils import get_object
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from facerec.config.meanings import of_key, of_option
from facerec.config.options import CONFIG_FOLDER, options
from facerec.errors import InputError, suggestion


@contextmanager
def in_one_sentence() -> Iterator[None]:
    """Turn errors of Hydra (a bare ValueError for GROUP=null) and OmegaConf into an `InputError` of one sentence."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise InputError(sentence(error)) from error


def sentence(error: BaseException) -> str:
    """Return an error of Hydra or OmegaConf in one line, with the nearest valid name."""
    if isinstance(error, OverrideParseException):
        written = error.override or ""
        key, _, value = written.partition("=")
        again = f", such as \"{key}='{value}'\"" if value and "'" not in value else ""
        return f"the argument {written!r} is not understood: write KEY=VALUE, in quotes a VALUE with = or ,{again}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        found = error.options or options(group)
        return f"{group}={option} is not an option of {group}; {suggestion(option, found, of_option(group, option))}"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    first_line = str(cause).strip().splitlines()[0]
    if first_line.endswith("raised while composing config:") and error.__context__:
        return f"{first_line.partition(':')[0]}: {sentence(error.__context__)}"
    if isinstance(cause, MissingMandatoryValue):
        return f"{cause.full_key} has no value; add {cause.full_key}=..."
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and isinstance(cause.parent_node, DictConfig):
        return _unknown_key(str(cause.full_key), cause.parent_node)
    if first_line.startswith("Could not append to config"):
        return f"{first_line.rstrip('.')}: leave out the +"
    if first_line.startswith("Ambiguous value"):
        return f"{first_line}: write a list as [a,b], or add -m to facerec train, which runs each of them"
    key = cause.full_key if isinstance(cause, OmegaConfBaseException) else None
    if key == "image_size" and first_line.startswith("Value"):
        sides = f"backbone.{key}=[112,96] data.{key}=[112,96]"
        return f"{first_line} (config key {key}): for a height and another width write {sides}"
    return f"{first_line} (config key {key})" if key else first_line


def _unknown_key(full_key: str, node: DictConfig) -> str:
    """Return what to write instead of a key that ``node`` has not: with ``+`` if its constructor takes it."""
    place, _, key = full_key.rpartition(".")
    try:
        taken = inspect.signature(get_object(node._target_)).parameters
    except Exception:  # it has none, or one that cannot be imported
        taken = {}
    if key in taken and key not in ("params", "optimizer", "operator"):
        return f"config key {full_key!r} is not in the file of {place} and must be added: write +{full_key}=VALUE"
    if owners := [option for option in options(place) if key in _settings(place, option)]:
        which = " or ".join(f"{place}={option}" for option in owners)
        return f"config key {full_key!r} is a setting of {which}, which is not chosen: add that, or leave it out"
    return f"unknown config key {full_key!r}; {suggestion(key, map(str, node), of_key(place))}"


def _settings(group: str, option: str) -> set[str]:
    content = yaml.safe_load((CONFIG_FOLDER / group / f"{option}.yaml").read_text(encoding="utf-8"))
    return set(content) - {"defaults"}
