"""Names and types of the root configuration. The keys of a node are defined by its constructor's signature."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from omegaconf import MISSING

from facerec.config.meanings import of_key
from facerec.errors import InputError, suggestion

# Groups that change other nodes and have no node themselves.
OVERLAY_GROUPS = ("augmentation", "task", "experiment", "sweep", "hydra")


@dataclass
class RunConfig:
    """The root of a run's configuration; Hydra checks the types.

    Attributes:
        width: multiplier of the backbone's channel counts.
        embedding_dim: elements of an embedding.
        image_size: side of the square images in pixels.
        seed: of initial weights, sampling order and augmentation.
        affine_strength: multiplier of the ranges of the affine augmentations.
        protocol: of the evaluation, one of tvconv, tvconv_reference and, for faces, insightface.
        name: folder in outputs/ that contains the run's folder.
        compile: train by one program that torch.compile makes of network and loss; for GPUs.
        init: null, or a file of weights to start from: a checkpoint, or with backbone=timm weights of timm's.
        teacher: null, or from whom distillation learns: a checkpoint, a file .onnx or .npz, or timm:NAME.
        resume: null, a checkpoint, or "auto" for the newest unfinished run of this name.
        skip_finished: skip cells of a sweep that already have results.
        cells: of a sweep are run in this process, or print: one command a cell is printed, or claim: those that no
            other process has are run, until none is free.
        claim_stale: with cells=claim, a time, such as 10min, after which the cell of a process that was not heard of is
            taken over.
    """

    learner: Any = MISSING
    backbone: Any = MISSING
    operator: Any = MISSING
    head: Any = MISSING
    data: Any = MISSING
    optimizer: Any = MISSING
    lr_scheduler: Any = MISSING
    parameter_groups: Any = MISSING
    distillation: Any = MISSING
    trainer: Any = MISSING
    logger: Any = MISSING
    callbacks: Any = MISSING
    width: float = 1.0
    embedding_dim: int = 512
    image_size: int = 96
    seed: int = 1
    affine_strength: float = 1.0
    protocol: str = "tvconv"
    name: str = "default"
    compile: bool = False
    init: str | None = None
    teacher: str | None = None
    resume: str | None = None
    skip_finished: bool = False
    cells: str = "run"
    claim_stale: str = "10min"


ROOT_KEYS = tuple(field.name for field in fields(RunConfig))

# What the constructors take as text, in addition to the root's: a number that is typed here stays the text that it is.
PATHS = (
    *("init", "teacher", "resume"),
    *("data.root", "data.train_list", "data.train_folder", "data.cache", "data.index_cache"),
    "data.shard_cache",
)
TEXTS = (
    *PATHS,
    *("backbone.name", "backbone.encoder", "backbone.weights", "data.unseen", "distillation.colours"),
    *("trainer.model_registry", "trainer.save_every"),
    *(str(field.name) for field in fields(RunConfig) if "str" in str(field.type)),
)
LISTS_OF_TEXT = ("data.benchmarks", "data.domains", "parameter_groups.freeze")
# The last words of other keys of text, in the nodes of Hydra, of callbacks and of loggers.
_PATH_WORDS = ("dir", "subdir", "output_subdir", "dirpath", "save_dir", "default_root_dir", "path")
_TEXT_WORDS = (*_PATH_WORDS, "filename", "name")
# Nodes whose value is the name of a file in configs/, or a list of such names.
_GROUPS = (*(field.name for field in fields(RunConfig) if field.type is Any), *OVERLAY_GROUPS[:-1])


def is_path(key: str) -> bool:
    """Whether the value of the dotted ``key`` is a path, which may have a comma."""
    return key in PATHS or key.rpartition(".")[2] in _PATH_WORDS


def is_text(key: str) -> bool:
    """Whether the value of the dotted ``key`` is text, or a name of a file in configs/."""
    return key in TEXTS or is_group(key) or ("." in key and key.rpartition(".")[2] in _TEXT_WORDS)


def is_group(key: str) -> bool:
    """Whether ``key`` chooses a file in configs/ or of Hydra's own, as ``operator`` and ``hydra/launcher`` do."""
    group = key.partition("@")[0]
    return group in _GROUPS or "/" in group


def reject_unknown_keys(keys: Iterable[str]) -> None:
    """Raise `InputError` for the first unknown root key, with the nearest valid one."""
    allowed = (*ROOT_KEYS, *OVERLAY_GROUPS)
    for key in keys:
        if key not in allowed:
            raise InputError(f"unknown config key {key!r}; {suggestion(key, allowed, of_key(''))}")
