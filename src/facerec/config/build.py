"""From configuration to objects; the configuration goes no further."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from torch import nn

from facerec.config.compose import compose_trained, resolved, sentence
from facerec.config.schema import suggestion
from facerec.data.datamodule import FaceDataModule
from facerec.errors import InputError
from facerec.training.checkpoints import load_checkpoint, load_weights
from facerec.training.recognizer import Recognizer
from facerec.training.verifier import Verifier


def seed_everything(cfg: DictConfig) -> None:
    """Seed the random numbers of Python, NumPy and PyTorch, here and in loading processes."""
    _refusing(pl.seed_everything, "seed")(cfg.seed, workers=True, verbose=False)


def build_backbone(cfg: DictConfig) -> nn.Module:
    """The backbone with the operator as a part of it; `InputError` where one is given and the other takes none."""
    constructor = _refusing(get_object, "backbone")(cfg.backbone._target_)
    option = inspect.signature(constructor).parameters.get("operator")
    if cfg.operator and option is None:
        raise InputError(
            f"{constructor.__name__} has no spatial operator to replace: leave operator= out, or give operator=none"
        )
    if not cfg.operator and option is not None and option.default is not None:
        raise InputError(f"{constructor.__name__} needs an operator, got operator=none: take operator=depthwise")
    parts = {"operator": _Operator(_make(cfg.operator, "operator"))} if cfg.operator else {}
    return _make(cfg.backbone, "backbone", **parts)


def build_trained(path: str | Path, overrides: Sequence[str] = ()) -> tuple[nn.Module, DictConfig, dict[str, Any]]:
    """The backbone of the checkpoint ``path`` with its weights, the configuration that it was trained with and these
    overrides, and the checkpoint's content; `InputError` when the file is none."""
    checkpoint = load_checkpoint(path)
    cfg = compose_trained({**checkpoint["config"], "logger": {}, "callbacks": {}}, list(overrides))
    backbone = build_backbone(cfg)
    load_weights(backbone, checkpoint, path)
    return backbone, cfg, checkpoint


def build_data(cfg: DictConfig) -> FaceDataModule:
    """The data module; nothing is read yet."""
    return _make(cfg.data, "data")


def build_recognizer(cfg: DictConfig, backbone: nn.Module, num_identities: int) -> Recognizer:
    """The backbone with a head for ``num_identities``, its optimizer and its schedule."""
    head = _refusing(_make(cfg.head, "head"), "head")(num_identities, embedding_dim=backbone.embedding_dim)
    optimizer = _refusing(_make(cfg.optimizer, "optimizer"), "optimizer")
    lr_scheduler = _refusing(_make(cfg.lr_scheduler, "lr_scheduler"), "lr_scheduler")
    config = resolved(cfg)
    return _refusing(Recognizer, "protocol")(backbone, head, optimizer, lr_scheduler, cfg.protocol, config)


def build_verifier(cfg: DictConfig, backbone: nn.Module) -> Verifier:
    """What verifies ``backbone`` without training it."""
    return _refusing(Verifier, "protocol")(backbone, cfg.protocol)


def build_trainer(cfg: DictConfig) -> pl.Trainer:
    """Lightning's trainer with every logger and callback of the configuration."""
    return _make(
        cfg.trainer, "trainer", logger=_make_all(cfg.logger, "logger"), callbacks=_make_all(cfg.callbacks, "callbacks")
    )


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
        except (InstantiationException, OmegaConfBaseException, ValueError, TypeError, ImportError) as error:
            cause = error.__cause__ if isinstance(error, InstantiationException) and error.__cause__ else error
            if isinstance(cause, InputError):
                raise cause from None
            if isinstance(cause, OmegaConfBaseException):
                raise InputError(sentence(cause)) from error
            raise InputError(f"{' '.join(str(cause).split())} (config node: {key})") from error

    return call


class _Operator:
    """An operator, or a method of one, whose refusals name the operator's config node and not the backbone's."""

    def __init__(self, operator: Any) -> None:
        self._operator = operator

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._operator)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return _refusing(self._operator, "operator")(*args, **options)

    def __getattr__(self, name: str) -> Any:
        of_it = getattr(self._operator, name)
        return _Operator(of_it) if callable(of_it) else of_it
