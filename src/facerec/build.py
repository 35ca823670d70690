"""From configuration to objects. This file and train.py are the only ones that know Hydra; the configuration goes no
further."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, InstantiationException, MissingConfigException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException
from torch import nn

from facerec.config import RunConfig, reject_unknown_keys, suggestion
from facerec.data.datamodule import FaceDataModule
from facerec.errors import InputError
from facerec.recognizer import Recognizer
from facerec.runs import run_folder_for

CONFIG_FOLDER = Path(__file__).resolve().parents[2] / "configs"

ConfigStore.instance().store(name="run_config", node=RunConfig)
OmegaConf.register_new_resolver(
    "run_dir", lambda name, resume: str(run_folder_for(name, resume, datetime.now())), use_cache=True
)


def check_command_line(arguments: list[str]) -> None:
    """`InputError` with one sentence for what Hydra would refuse, or accept though nobody would ever read it."""
    overrides = [a for a in arguments if not a.startswith("-") and ("=" in a or a.startswith("~"))]
    # A sweep's values are lists, and a configuration of the user's own is not in this project's folder.
    only_hydra_can = any(a in ("-m", "--multirun") or a.startswith(("--config", "hydra.searchpath")) for a in arguments)
    if only_hydra_can:
        _check_root_keys(overrides)
    else:
        compose(overrides)


def compose(overrides: list[str]) -> DictConfig:
    """The configuration of ``train.py`` with these overrides; `InputError` where one is not understood."""
    try:
        _check_root_keys(overrides)
        with initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
            return hydra_compose("train", overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(_sentence(error)) from error


def _check_root_keys(overrides: list[str]) -> None:
    parsed = OverridesParser.create().parse_overrides(overrides)
    reject_unknown_keys(override.key_or_group.split(".")[0].split("/")[0].split("@")[0] for override in parsed)


def _sentence(error: Exception) -> str:
    """What Hydra and OmegaConf say over several lines and two exceptions, in one line and with the nearest right
    word."""
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={option} is not an option of {group}; {suggestion(option, error.options)}"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    first_line = str(cause).strip().splitlines()[0]
    if isinstance(cause, MissingMandatoryValue):
        return f"{cause.full_key} has no value; add {cause.full_key}=..."
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and isinstance(cause.parent_node, DictConfig):
        return f"unknown config key {cause.full_key!r}; {suggestion(str(cause.key), map(str, cause.parent_node))}"
    key = cause.full_key if isinstance(cause, OmegaConfBaseException) else None
    return f"{first_line} (config key {key})" if key else first_line


def build_backbone(cfg: DictConfig) -> nn.Module:
    """The backbone with the operator as a part of it."""
    return _make(cfg.backbone, "backbone", operator=_make(cfg.operator, "operator"))


def build_data(cfg: DictConfig) -> FaceDataModule:
    """The data module; nothing is read yet."""
    return _make(cfg.data, "data")


def build_recognizer(cfg: DictConfig, backbone: nn.Module, num_identities: int) -> Recognizer:
    """The backbone with a head for ``num_identities``, its optimizer and its schedule."""
    head = _refusing(_make(cfg.head, "head"), "head")(num_identities, embedding_dim=backbone.embedding_dim)
    optimizer, lr_scheduler = _make(cfg.optimizer, "optimizer"), _make(cfg.lr_scheduler, "lr_scheduler")
    config = resolved(cfg)
    return _refusing(Recognizer, "protocol")(backbone, head, optimizer, lr_scheduler, cfg.protocol, config)


def build_trainer(cfg: DictConfig) -> pl.Trainer:
    """Lightning's trainer with every logger and callback of the configuration."""
    return _make(
        cfg.trainer, "trainer", logger=_make_all(cfg.logger, "logger"), callbacks=_make_all(cfg.callbacks, "callbacks")
    )


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The plain settings that make a run what it is; what only watches it (loggers, callbacks) stays out."""
    try:
        plain = OmegaConf.to_container(OmegaConf.masked_copy(cfg, _kept(cfg)), resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise InputError(_sentence(error)) from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _kept(cfg: DictConfig) -> list[str]:
    return [str(key) for key in cfg if key not in ("callbacks", "logger")]


def _make_all(parts: DictConfig, group: str) -> list[Any]:
    for name, part in parts.items():
        if not isinstance(part, DictConfig) or "_target_" not in part:
            known = [str(other) for other in parts if other != name]
            raise InputError(f"config entry {group}.{name} has no _target_; {suggestion(str(name), known)}")
    return [_make(part, f"{group}.{name}") for name, part in parts.items()]


def _make(node: DictConfig, key: str, **parts: Any) -> Any:
    return _refusing(instantiate, key)(node, _convert_="all", **parts)


def _refusing(make: Callable[..., Any], key: str) -> Callable[..., Any]:
    """``make``, but what it refuses is the user's to mend: one sentence, with the config node it comes from."""

    def call(*args: Any, **parts: Any) -> Any:
        try:
            return make(*args, **parts)
        except OmegaConfBaseException as error:
            raise InputError(_sentence(error)) from error
        except (InstantiationException, ValueError, TypeError) as error:
            cause = error.__cause__ if isinstance(error, InstantiationException) and error.__cause__ else error
            if isinstance(cause, OmegaConfBaseException):
                raise InputError(_sentence(cause)) from error
            raise InputError(f"{cause} (config node: {key})") from error

    return call
