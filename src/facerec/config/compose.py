"""Compose a configuration from the command line or a checkpoint, with one-sentence errors."""

import inspect
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException
from tqdm import tqdm

from facerec.config.allowed import refuse_unknown, targets_in
from facerec.config.meanings import of_key, of_option
from facerec.config.schema import ROOT_KEYS, RunConfig, reject_unknown_keys
from facerec.errors import InputError, suggestion
from facerec.files import CACHE, OUTPUTS, refuse_missing_folder
from facerec.runs.folder import cell_folder, run_folder_for

AUGMENTED = ("data.train_augmentation", "data.test_augmentation")
_LONGEST_NAME = 255  # bytes
_IN_PACKAGE = Path(__file__).resolve().parents[1] / "configs"
_IN_CHECKOUT = Path(__file__).resolve().parents[3] / "configs"
CONFIG_FOLDER = _IN_PACKAGE if _IN_PACKAGE.is_dir() else _IN_CHECKOUT

# Classes under their names in the checkpoints of older versions, with their names of today.
MOVED = {"facerec.checkpoints.WholeCheckpoint": "facerec.training.checkpoints.WholeCheckpoint"}


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
    parsed = _parse(given.overrides)
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
        choices = {override.get_key_element(): _values(override) for override in _parse([*preset, *overrides], loader)}
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
    if not values and _is_group(override):
        group = override.key_or_group
        raise InputError(f"{written} is not an option of {group}; known are {', '.join(_options(group))}")
    if not values:
        raise InputError(f"{written} has no value: write one or more, with commas between them")
    return values


def _options(group: str) -> list[str]:
    return sorted(file.stem for file in (CONFIG_FOLDER / group).glob("*.yaml"))


def _swept_keys(arguments: Sequence[str]) -> list[str]:
    overrides = [a for a in arguments if not a.startswith("-") and "=" in a]
    return [override.get_key_element() for override in _parse(overrides) if override.is_sweep_override()]


def compose(overrides: list[str]) -> DictConfig:
    """Return the training configuration with these overrides; raise `InputError` if one is wrong."""
    _parse(overrides)  # refuses unknown root keys
    cfg = _composed(overrides)
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
    given = [override.key_or_group for override in _parse(overrides)]
    if "affine_strength" in given:
        _refuse_affine_strength_without([cfg], AUGMENTED)
    if "width" in given and isinstance(cfg.get("backbone"), DictConfig) and "width" not in cfg.backbone:
        raise InputError("width has no effect on this backbone, whose networks have fixed widths: leave it out")


def refuse_missing_root(cfg: DictConfig) -> None:
    """Raise `InputError` if the data folder does not exist, before PyTorch is imported."""
    root = cfg.data.get("root") if isinstance(cfg.data, DictConfig) else None
    if root is not None:
        refuse_missing_folder(str(root))


def _composed(overrides: list[str]) -> DictConfig:
    if "run_config.yaml" not in ConfigStore.instance().repo:  # another command than train
        register()
    with in_one_sentence(), initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        return hydra_compose("train", overrides)


def _refuse_affine_strength_without(nodes: Sequence[DictConfig], places: Sequence[str]) -> None:
    """Raise `InputError` if none of ``nodes`` reads ``affine_strength``; a transform that does can be at ``places``."""
    if not any("${affine_strength}" in OmegaConf.to_yaml(node) for node in nodes):
        remedy = " or ".join(f"augmentation@{place}=rotation" for place in places)
        raise InputError(f"affine_strength has no effect without an affine transform: leave it out, or add {remedy}")


def compose_trained(trained: Any, overrides: list[str], trust: bool = False) -> DictConfig:
    """Return the configuration stored in a file with overrides applied, and without loggers and callbacks.

    A group override replaces the whole node, a key override one value; what would be written goes to no folder that the
    file names. Raises `InputError` if the stored configuration names a class that neither a file in configs/ names nor
    is an optimizer, schedule or transform of PyTorch's, unless ``trust`` is true; the overrides are the user's own and
    may name anything.
    """
    _refuse_incomplete(trained, trust)
    cfg, parsed = OmegaConf.create({**_with_names_of_today(trained), "logger": {}, "callbacks": {}}), _parse(overrides)
    assert isinstance(cfg, DictConfig)
    cfg.data.pop("remember", None)  # the former name of data.cache
    _forget_folders(cfg)
    OmegaConf.set_struct(cfg, True)
    chosen: list[DictConfig] = []
    for override in sorted(parsed, key=_outer_first):
        if override.is_sweep_override():
            raise InputError(f"{override.input_line} has several values: give one, or write a list as [a,b]")
        key, value = _place(override), override.value()
        if _is_group(override):
            chosen.append(_chosen_node(override, cfg))
            value = OmegaConf.to_container(chosen[-1], resolve=True)
        # Checkpoints of older versions may lack a root key.
        is_new = _is_group(override) or override.is_add() or key in ROOT_KEYS
        with in_one_sentence():
            OmegaConf.update(cfg, key, value, merge=False, force_add=is_new)
    if any(_place(override) == "affine_strength" for override in parsed):
        _refuse_affine_strength_without(chosen, AUGMENTED[1:])  # nothing is trained
    if "pretrained" in cfg.backbone:
        cfg.backbone.pretrained = False  # the checkpoint has the weights: download none
    for key in ("protocol", "image_size", "embedding_dim"):
        if cfg.get(key) is None:
            raise InputError(f"the configuration in the file has no {key}: use a file of facerec")
    return cfg


def _forget_folders(cfg: DictConfig) -> None:
    """Remove the folders that would be written to, but for the cache's own: whoever made the file chose them."""
    for key in ("profiler", "default_root_dir"):  # Lightning's
        cfg.trainer.pop(key, None)
    for key in ("cache", "index_cache"):
        if key in cfg.data and cfg.data[key] != str(CACHE):
            cfg.data[key] = None


def _refuse_incomplete(trained: Any, trust: bool) -> None:
    """Raise `InputError` if ``trained``, read from a file, is no run's configuration or names what is not known."""
    if not isinstance(trained, dict):
        raise InputError(f"the configuration in the file is a {type(trained).__name__}: use a file of facerec")
    for key in ("backbone", "operator", "head", "data", "trainer"):
        node = trained.get(key)
        if not isinstance(node, dict) or ("_target_" not in node and key != "operator"):
            raise InputError(f"the configuration in the file has no node {key} with a _target_: use a file of facerec")
    if not trust:
        refuse_unknown(trained, _known_targets())


@cache
def _known_targets() -> frozenset[str]:
    """Return the targets that files in configs/ name, under their names of today and of older versions."""
    files = CONFIG_FOLDER.glob("**/*.yaml")
    today = targets_in(file.read_text(encoding="utf-8") for file in files)
    return today | {before for before, after in MOVED.items() if after in today}


def _with_names_of_today(node: Any) -> Any:
    """Return ``node`` with the class names in `MOVED` replaced."""
    if isinstance(node, dict):
        return {key: MOVED.get(v, v) if key == "_target_" else _with_names_of_today(v) for key, v in node.items()}
    return [_with_names_of_today(item) for item in node] if isinstance(node, list) else node


def _outer_first(override: Override) -> tuple[int, bool]:
    """Sort nodes before what is inside them, and plain settings before the nodes that read them."""
    return _place(override).count("."), _is_group(override)


def _place(override: Override) -> str:
    return override.package or override.key_or_group


def _is_group(override: Override) -> bool:
    return (CONFIG_FOLDER / override.key_or_group).is_dir()


def _chosen_node(override: Override, cfg: DictConfig) -> DictConfig:
    """Return the node of the chosen option, composed with the image size, seed and affine strength of ``cfg``."""
    shared = [f"{key}={cfg[key]}" for key in ("image_size", "seed", "affine_strength") if key in cfg]
    composed = _composed([f"{override.get_key_element()}={override.value()}", *shared])
    return OmegaConf.select(composed, _place(override))


def _parse(overrides: list[str], loader: ConfigLoader | None = None) -> list[Override]:
    """Parse overrides with Hydra's grammar; raise `InputError` for an unknown root key."""
    with in_one_sentence():
        parsed = OverridesParser.create(loader).parse_overrides(overrides)
    reject_unknown_keys(override.key_or_group.split(".")[0].split("/")[0] for override in parsed)
    for override in parsed:
        if override.key_or_group == "augmentation" and override.package not in AUGMENTED:
            where = " or ".join(f"augmentation@{node}={override.value()}" for node in AUGMENTED)
            raise InputError(f"{override.input_line} does not say which images it augments: write {where}")
        if _is_group(override) and not override.is_delete() and not override.is_sweep_override():
            _refuse_no_name(override)
    return parsed


def _refuse_no_name(override: Override) -> None:
    """Raise `InputError` for what is no name of an option, or list of names; null is one where it changes nothing."""
    group, value = override.key_or_group, override.value()
    names = value if isinstance(value, list) else [] if isinstance(value, dict) else [value]
    wrong = [name for name in names if not isinstance(name, str | QuotedString)]
    if wrong and not (value is None and group in ("experiment", "sweep")):
        word = "null" if wrong[0] is None else str(wrong[0]).lower()
        near = suggestion(word, _options(group), of_option(group, word))
        raise InputError(f"{override.input_line} is not an option of {group}; {near}")


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
        options = error.options or _options(group)
        return f"{group}={option} is not an option of {group}; {suggestion(option, options, of_option(group, option))}"
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
    return f"unknown config key {full_key!r}; {suggestion(key, map(str, node), of_key(place))}"


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """Return the resolved settings that determine a run's result, as plain containers.

    Leaves out `callbacks`, `logger`, `name`, `resume` and `skip_finished`, which only affect monitoring and location.
    """
    with in_one_sentence():
        kept = [str(key) for key in cfg if key not in ("callbacks", "logger", "name", "resume", "skip_finished")]
        plain = OmegaConf.to_container(OmegaConf.masked_copy(cfg, kept), resolve=True, throw_on_missing=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
