"""Overrides on the command line, parsed and checked as far as that is possible without a configuration."""

from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from omegaconf import DictConfig, OmegaConf

from facerec.config.meanings import of_option
from facerec.config.options import CONFIG_FOLDER, options
from facerec.config.schema import reject_unknown_keys
from facerec.config.sentences import in_one_sentence
from facerec.errors import InputError, suggestion

AUGMENTED = ("data.train_augmentation", "data.test_augmentation")


def parsed_overrides(overrides: list[str], loader: ConfigLoader | None = None) -> list[Override]:
    """Parse overrides with Hydra's grammar; raise `InputError` for an unknown root key."""
    with in_one_sentence():
        parsed = OverridesParser.create(loader).parse_overrides(overrides)
    reject_unknown_keys(override.key_or_group.split(".")[0].split("/")[0] for override in parsed)
    for override in parsed:
        if override.key_or_group == "augmentation" and override.package not in AUGMENTED:
            where = " or ".join(f"augmentation@{node}={override.value()}" for node in AUGMENTED)
            raise InputError(f"{override.input_line} does not say which images it augments: write {where}")
        if is_group(override) and not override.is_delete() and not override.is_sweep_override():
            _refuse_no_name(override)
    return parsed


def is_group(override: Override) -> bool:
    """Whether an override chooses an option of a group, and does not set a key."""
    return (CONFIG_FOLDER / override.key_or_group).is_dir()


def _refuse_no_name(override: Override) -> None:
    """Raise `InputError` for what is no name of an option, or list of names; null is one where it changes nothing."""
    group, value = override.key_or_group, override.value()
    names = value if isinstance(value, list) else [] if isinstance(value, dict) else [value]
    wrong = [name for name in names if not isinstance(name, str | QuotedString)]
    if wrong and not (value is None and group in ("experiment", "sweep")):
        word = "null" if wrong[0] is None else str(wrong[0]).lower()
        near = suggestion(word, options(group), of_option(group, word))
        raise InputError(f"{override.input_line} is not an option of {group}; {near}")


def refuse_affine_strength_without(nodes: Sequence[DictConfig], places: Sequence[str]) -> None:
    """Raise `InputError` if none of ``nodes`` reads ``affine_strength``; a transform that does can be at ``places``."""
    if not any("${affine_strength}" in OmegaConf.to_yaml(node) for node in nodes):
        remedy = " or ".join(f"augmentation@{place}=rotation" for place in places)
        raise InputError(f"affine_strength has no effect without an affine transform: leave it out, or add {remedy}")
