"""Compose a configuration from the command line."""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from tqdm import tqdm

from facerec.config.meanings import of_key
from facerec.config.options import CONFIG_FOLDER, options
from facerec.config.overrides import AUGMENTED, is_group, parsed_overrides, refuse_affine_strength_without
from facerec.config.schema import ROOT_KEYS, RunConfig
from facerec.config.sentences import in_one_sentence
from facerec.errors import InputError, suggestion
from facerec.files import OUTPUTS, is_remote, refuse_missing_folder
from facerec.runs.folder import NOT_OF_A_CELL, cell_folder, run_folder_for

_LONGEST_NAME = 255  # bytes
_OF_SOME_BACKBONES = {"width": "whose networks have fixed widths", "embedding_dim": "which has no embeddings"}


def register(arguments: Sequence[str] = ()) -> None:
    """Register the root configuration and its resolvers in this process; ``arguments`` tell which keys are swept."""
    ConfigStore.instance().store(name="run_config", node=RunConfig)
    OmegaConf.register_new_resolver(
        "run_dir",
        lambda name, resume: str(run_folder_for(name, resume, datetime.now())),
        use_cache=True,
        replace=True,
    )
    OmegaConf.register_new_resolver(
        "cell_folder",
        lambda settings, swept: cell_folder(texts(settings), {*_swept_keys(arguments), *(swept or ())}),
        replace=True,
    )


def texts(overrides: Any) -> list[str]:
    """Return Hydra's list of overrides as it is: an interpolation in one of them is of the configuration's nodes."""
    return [str(override) for override in OmegaConf.to_container(overrides, resolve=False) or ()]


def options_first(arguments: list[str]) -> list[str]:
    """Return the arguments with Hydra's own options, such as ``-m``, before all KEY=VALUE, as Hydra wants them.

    Raises `InputError` for an option that there is not.
    """
    parser = get_args_parser()
    parser.error = _refuse_option
    overrides = parser.parse_intermixed_args(arguments).overrides
    return [argument for argument in arguments if argument not in overrides] + overrides


def _refuse_option(message: str) -> NoReturn:
    kind, _, given = message.partition(": ")
    option = given.split()[0] if kind == "unrecognized arguments" else ""
    if not option.startswith("-"):
        raise InputError(f"{message}: write KEY=VALUE; facerec train --help lists the options")
    name = option.lstrip("-").partition("=")[0].replace("-", "_")
    raise InputError(f"{option!r} is not an option: write KEY=VALUE; {suggestion(name, ROOT_KEYS, of_key(''))}")


def check_command_line(arguments: list[str]) -> None:
    """Raise a one-sentence `InputError` for arguments that Hydra would refuse, or that would have no effect."""
    given = get_args_parser().parse_args(arguments)
    if given.shell_completion:
        return
    parsed = parsed_overrides(given.overrides)
    in_folder = not (given.config_dir or given.config_name or given.config_path)
    if not in_folder or any(override.key_or_group == "hydra.searchpath" for override in parsed):
        return  # the user's own configuration is elsewhere
    if given.multirun:
        for cell in tqdm(_cells(given.overrides, parsed), "checking the sweep", unit=" values", delay=2, leave=False):
            compose(cell)
    else:
        compose(given.overrides)


def _cells(overrides: list[str], parsed: list[Override]) -> list[list[str]]:
    """Return overrides that contain every value of a sweep once: its first cell, and that cell with each other value.

    Returns nothing for other sweepers than Hydra's own, which choose values themselves.
    """
    for override in parsed:
        _refuse_as_no_cells(override)
    with in_one_sentence(), initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        sweeper = loader.load_configuration("train", overrides, run_mode=RunMode.MULTIRUN).hydra.sweeper
        if not sweeper._target_.endswith(".BasicSweeper"):
            return []
        preset = [f"{key}={value}" for key, value in (sweeper.params or {}).items()]
        # The command line replaces the presets.
        together = parsed_overrides([*preset, *overrides], loader)
        choices = {override.get_key_element(): _values(override) for override in together}
    first = {key: values[0] for key, values in choices.items()}
    others = [first | {key: value} for key, values in choices.items() for value in values[1:]]
    return [list(cell.values()) for cell in (first, *others)]


def _refuse_as_no_cells(override: Override) -> None:
    if override.key_or_group == "sweep" and override.is_sweep_override():
        raise InputError(
            f"{override.input_line} names several sweeps, and only one can run at a time: run them one by one"
        )
    if override.key_or_group.startswith("hydra.sweeper.params"):
        raise InputError(
            f"{override.input_line} belongs in a file in configs/sweep: write KEY=VALUE,VALUE on the command line"
        )


def _values(override: Override) -> list[str]:
    """Return one override per swept value, or the override itself if it is not a sweep."""
    written = override.input_line or ""
    if not override.is_sweep_override():
        return [written]
    if override.is_interval_sweep():
        raise InputError(
            f"{written} is an interval without steps: write the values with commas between them, or range(FROM,TO,STEP)"
        )
    values = [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
    if not values and is_group(override):
        group = override.key_or_group
        raise InputError(f"{written} is not an option of {group}; known are {', '.join(options(group))}")
    if not values:
        raise InputError(f"{written} has no value: write one or more, with commas between them")
    return values


def _swept_keys(arguments: Sequence[str]) -> list[str]:
    overrides = [a for a in arguments if not a.startswith("-") and "=" in a]
    return [override.get_key_element() for override in parsed_overrides(overrides) if override.is_sweep_override()]


def compose(overrides: list[str]) -> DictConfig:
    """Return the training configuration with these overrides; raise `InputError` if one is wrong."""
    parsed_overrides(overrides)  # refuses unknown root keys
    cfg = composed(overrides)
    _refuse_dead_interpolations(cfg)
    refuse_without_effect(cfg, overrides)
    _refuse_name(str(cfg.get("name")))
    for key in ROOT_KEYS:
        if OmegaConf.is_missing(cfg, key):
            raise InputError(f"config key {key!r} has no value: give it one with {key}=...")
    return cfg


def _refuse_name(name: str) -> None:
    """Raise `InputError` for the name of a run that cannot be a folder's, or is of one outside the folder of runs."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"name={name} leads out of the folder of runs, {OUTPUTS}: leave out .. and the first /")
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.parts) or "\0" in name:
        raise InputError(f"name={name[:20]}... cannot be the name of a folder: give up to {_LONGEST_NAME} letters")


def _refuse_dead_interpolations(cfg: DictConfig) -> None:
    """Raise `InputError` for an interpolation of what does not exist, but in nodes that read the run's folder."""
    with in_one_sentence():
        kept = [str(key) for key in cfg if key not in ("callbacks", "logger")]
        OmegaConf.to_container(OmegaConf.masked_copy(cfg, kept), resolve=True)


def refuse_without_effect(cfg: DictConfig, overrides: list[str]) -> None:
    """Raise `InputError` if one of the ``overrides`` of ``cfg`` sets something that nothing reads."""
    given = [override.key_or_group for override in parsed_overrides(overrides)]
    if "affine_strength" in given:
        refuse_affine_strength_without([cfg], AUGMENTED)
    for key, why in _OF_SOME_BACKBONES.items():
        if key in given and isinstance(cfg.get("backbone"), DictConfig) and key not in cfg.backbone:
            raise InputError(f"{key} has no effect on this backbone, {why}: leave it out")
    _refuse_half_a_distillation(cfg.get("distillation"), cfg.get("teacher"))


def _refuse_half_a_distillation(distillation: Any, teacher: str | None) -> None:
    if teacher is not None and not distillation:
        raise InputError(
            f"teacher={teacher} has no effect with distillation=none: add distillation=embedding or "
            "distillation=adadistill, or leave it out"
        )
    if distillation and teacher is None:
        raise InputError(
            "distillation needs a teacher, and teacher=null is none: add teacher=FILE, a checkpoint, a file .onnx or "
            ".npz, or timm:NAME"
        )


def refuse_missing_root(cfg: DictConfig) -> None:
    """Raise `InputError` if the data folder does not exist, before PyTorch is imported."""
    root = cfg.data.get("root") if isinstance(cfg.data, DictConfig) else None
    if root is not None and not is_remote(str(root)):
        refuse_missing_folder(str(root))


def composed(overrides: list[str]) -> DictConfig:
    """Return what Hydra composes with these overrides, unchecked."""
    if "run_config.yaml" not in ConfigStore.instance().repo:  # another command than train
        register()
    with in_one_sentence(), initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        return hydra_compose("train", overrides)


def composed_in(folder: Path, overrides: list[str]) -> DictConfig:
    """Return what Hydra composes with these overrides for a run in ``folder`` that Hydra does not start itself.

    Loggers and callbacks write to that folder until the next call.
    """
    with in_one_sentence(), initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        cfg = hydra_compose("train", overrides, return_hydra_config=True)
    with open_dict(cfg):
        cfg.hydra.runtime.output_dir = str(folder)
        HydraConfig.instance().set_config(cfg)
        del cfg["hydra"]
    return cfg


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """Return the resolved settings that determine a run's result, as plain containers.

    Leaves out `callbacks`, `logger` and what is in `NOT_OF_A_CELL`, which only affect monitoring and location.
    """
    with in_one_sentence():
        kept = [str(key) for key in cfg if key not in ("callbacks", "logger", *NOT_OF_A_CELL)]
        plain = OmegaConf.to_container(OmegaConf.masked_copy(cfg, kept), resolve=True, throw_on_missing=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
