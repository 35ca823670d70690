"""Build the objects that a configuration describes; no lower layer sees the configuration."""

import inspect
import sys
from collections.abc import MutableMapping, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytorch_lightning as pl
from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf
from torch import nn

from facerec.config.compose import resolved
from facerec.config.making import check, make, make_all, refusing
from facerec.config.node_types import check_class, check_classes
from facerec.data.datamodule import FaceDataModule
from facerec.data.image_datamodule import ImageDataModule
from facerec.errors import InputError
from facerec.heads import CosineHead
from facerec.operators.base import OperatorFactory
from facerec.process import refuse_too_many
from facerec.training.before_training import refuse_no_time, refuse_no_verification
from facerec.training.distillation import Distillation
from facerec.training.evaluator import Evaluator
from facerec.training.learner import Learner, Training
from facerec.verification.verify import VerificationResult

_LOGGER_PACKAGES = {"WandbLogger": "wandb", "MLFlowLogger": "mlflow"}


def seed_everything(cfg: DictConfig) -> None:
    """Seed Python, NumPy and PyTorch, in this process and in the workers."""
    refusing(pl.seed_everything, "seed")(cfg.seed, workers=True, verbose=False)


def check_types(cfg: DictConfig) -> None:
    """Raise `InputError` for a value of the wrong type in any node, before one of them is built."""
    check_classes(resolved(cfg))
    for key, node in cfg.items():
        if isinstance(node, DictConfig) and key not in ("logger", "callbacks"):  # they read the run's folder
            check(node, str(key))


def refuse_missing_packages(cfg: DictConfig) -> None:
    """Raise `InputError` for a logger whose package is not installed, before the images are read."""
    for node in cfg.logger.values():
        target = str(node.get("_target_")) if isinstance(node, DictConfig) else ""
        package = _LOGGER_PACKAGES.get(target.rpartition(".")[2])
        if package is not None and find_spec(package) is None:
            raise InputError(
                f"logger={package} needs the package {package}, which is not installed: pip install {package}, or take "
                "logger=csv or logger=tensorboard"
            )


def build_backbone(cfg: DictConfig) -> nn.Module:
    """Return the backbone with its operator; raise `InputError` if it needs one and none is given, or the reverse."""
    check_class(cfg.backbone.get("_target_"), "backbone")
    check(cfg.backbone, "backbone")
    constructor = refusing(get_object, "backbone")(cfg.backbone._target_)
    option = inspect.signature(constructor).parameters.get("operator")
    if cfg.operator and option is None:
        raise InputError(
            f"{constructor.__name__} has no spatial operator to replace: leave operator= out, or give operator=none"
        )
    if not cfg.operator and option is not None and option.default is not None:
        raise InputError(f"{constructor.__name__} needs an operator, got operator=none: take operator=depthwise")
    # Hydra would treat the operator factory, a dataclass, as configuration, hence the partial call, which alone would
    # not notice a setting without a value.
    refusing(OmegaConf.to_container, "backbone")(cfg.backbone, resolve=True, throw_on_missing=True)
    backbone = refusing(make(cfg.backbone, "backbone", _partial_=True), "backbone")
    return backbone(operator=_operator(cfg.operator)) if cfg.operator else backbone()


def _operator(node: DictConfig) -> OperatorFactory:
    """Return the factory, wrapped so that errors of its constructors name the operator's config node."""
    operator = OperatorFactory.of(make(node, "operator"))
    return OperatorFactory(
        make=refusing(operator.make, "operator"),
        make_pointwise=operator.make_pointwise and refusing(operator.make_pointwise, "operator"),
        wrap_block=operator.wrap_block and refusing(operator.wrap_block, "operator"),
        default_last_stages=operator.default_last_stages,
    )


def learner_class(cfg: DictConfig) -> type[Learner]:
    """Return the class of the task's learner."""
    found = refusing(get_object, "learner")(cfg.learner._target_)
    if not (isinstance(found, type) and issubclass(found, Learner)):
        raise InputError(f"learner must be a facerec.training.learner.Learner, got {found}: choose task=recognition")
    return found


def build_images(cfg: DictConfig) -> ImageDataModule:
    """Return the data module, of any task, which reads nothing until it is set up."""
    data = make(cfg.data, "data")
    if not isinstance(data, ImageDataModule):
        raise InputError(
            f"data must be a data module, got a {type(data).__name__}: choose data=folder or another option"
        )
    return data


def build_data(cfg: DictConfig) -> ImageDataModule:
    """Return the data module, of the kind that the learner needs."""
    data, learner = build_images(cfg), learner_class(cfg)
    kind = learner.evaluator.data_module
    if not isinstance(data, kind):
        raise InputError(
            f"{learner.__name__} needs a {kind.__name__} as data, got a {type(data).__name__}: choose another option "
            "of data= or of task="
        )
    return data


def build_faces(cfg: DictConfig) -> FaceDataModule:
    """Return the data module of faces."""
    data = build_images(cfg)
    if not isinstance(data, FaceDataModule):
        raise InputError(f"data must have faces, got a {type(data).__name__}: choose data=folder or another option")
    return data


def refuse_other_sizes(cfg: DictConfig) -> None:
    """Raise `InputError` if the images are of another size than the backbone's, before they are read."""
    data, backbone = size_of(cfg.data), size_of(cfg.backbone)
    if None not in (data, backbone) and data != backbone:
        sizes = f"data.image_size={data} and backbone.image_size={backbone}"
        raise InputError(f"{sizes} differ: give both the same height and width, or neither and image_size=")


def size_of(node: DictConfig) -> list[int] | None:
    """Return the height and width that ``node`` has or its constructor takes by default, or None if it takes none."""
    size = node.get("image_size")
    if size is None:
        constructor = refusing(get_object, "image_size")(node.get("_target_"))
        parameters = refusing(inspect.signature, "image_size")(constructor).parameters
        size = parameters["image_size"].default if "image_size" in parameters else None
    return list(size) if isinstance(size, tuple | ListConfig) else None


def build_distillation(cfg: DictConfig) -> Distillation | None:
    """Return the loss of a teacher's embeddings, not yet connected; None without one."""
    made = make(cfg.distillation, "distillation") if cfg.distillation else None
    if not isinstance(made, Distillation | None):
        raise InputError(
            f"distillation must be a facerec.training.distillation.Distillation, got a {type(made).__name__}: choose "
            "distillation=embedding or another option, or derive your own class from it"
        )
    return made


def build_learner(
    cfg: DictConfig, backbone: nn.Module, num_identities: int | None = None, teacher_dim: int | None = None
) -> Learner:
    """Return what trains the backbone, with its optimizer, schedule and parameter groups.

    A learner of identities has a head for ``num_identities``, and, with a teacher, the loss of its embeddings, of
    ``teacher_dim`` elements.
    """
    parts = _head_and_distillation(cfg, backbone, num_identities, teacher_dim) if _has_head(cfg) else {}
    optimizer = refusing(make(cfg.optimizer, "optimizer"), "optimizer")
    lr_scheduler = refusing(make(cfg.lr_scheduler, "lr_scheduler"), "lr_scheduler")
    groups = make(cfg.parameter_groups, "parameter_groups")
    training = Training(optimizer, lr_scheduler, resolved(cfg), groups)
    return refusing(make(cfg.learner, "learner"), "protocol")(training, backbone, protocol=cfg.protocol, **parts)


def refuse_useless_parts(cfg: DictConfig) -> None:
    """Raise `InputError` for a head or a distillation that the learner does not take."""
    for key in ("head", "distillation"):
        if cfg[key] and not _has_head(cfg):
            name = learner_class(cfg).__name__
            raise InputError(f"{key} has no effect on a {name}, which learns no identities: leave it out or {key}=none")


def _has_head(cfg: DictConfig) -> bool:
    return "head" in inspect.signature(learner_class(cfg)).parameters


def _head_and_distillation(
    cfg: DictConfig, backbone: nn.Module, num_identities: int | None, teacher_dim: int | None
) -> dict[str, Any]:
    if not cfg.head:
        raise InputError("a network that learns identities needs a head, got head=none: take head=am_softmax")
    if not hasattr(backbone, "embedding_dim"):
        name = type(backbone).__name__
        raise InputError(f"{name} makes no embeddings, which a {learner_class(cfg).__name__} needs: take backbone=mbv2")
    head = refusing(make(cfg.head, "head"), "head")(num_identities, embedding_dim=backbone.embedding_dim)
    if not isinstance(head, CosineHead):
        raise InputError(
            f"head must be a facerec.heads.CosineHead, which has a loss, got a {type(head).__name__}: choose "
            "head=am_softmax or another option, or derive your own class from it"
        )
    distillation = build_distillation(cfg)
    if distillation is not None and teacher_dim is not None:
        distillation.connect(head, head.weight.shape[-1], teacher_dim)
    return {"head": head, "distillation": distillation}


def build_trainer(cfg: DictConfig, callbacks: Sequence[pl.Callback] = ()) -> pl.Trainer:
    """Return Lightning's trainer with the configured loggers and callbacks, and with these ``callbacks``."""
    devices = cfg.trainer.get("devices")
    if isinstance(devices, int | str) and str(devices).isdecimal():
        refuse_too_many(int(devices), "trainer.devices", ", or auto")
    refuse_no_time(cfg.trainer.get("max_time"))
    watching = {group: make_all(cfg[group], group) for group in ("logger", "callbacks")}
    watching["callbacks"] += callbacks
    trainer = make(cfg.trainer, "trainer", **watching)
    if not isinstance(trainer, pl.Trainer):
        raise InputError(f"trainer must be Lightning's Trainer, got a {type(trainer).__name__}: choose trainer=auto")
    return trainer


def evaluate(cfg: DictConfig, data: ImageDataModule, backbone: nn.Module, **kept: Any) -> Evaluator:
    """Evaluate ``backbone`` on the sets of ``data``, which is set up to validate, and return what has the results.

    ``kept`` are further arguments of the evaluator, such as a dictionary for the embeddings of a `Verifier`.
    """
    data.refuse_equal_images()
    evaluator = refusing(learner_class(cfg).evaluator, "protocol")(backbone, protocol=cfg.protocol, **kept)
    trainer = build_trainer(cfg)
    refuse_no_verification(trainer)
    with redirect_stdout(sys.stderr):  # the progress bar: standard output is for the JSON of the commands
        trainer.validate(evaluator, datamodule=data, verbose=False)
    return evaluator


def verify(
    cfg: DictConfig,
    data: FaceDataModule,
    backbone: nn.Module,
    embeddings: MutableMapping[str, np.ndarray] | None = None,
) -> dict[str, VerificationResult]:
    """Verify ``backbone`` on the benchmarks of ``data``, which is set up to validate.

    ``embeddings`` receives those of all images of each benchmark, ``(N, D)``.
    """
    return evaluate(cfg, data, backbone, embeddings=embeddings).results
