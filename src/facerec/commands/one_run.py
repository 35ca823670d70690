"""A single training run: build, fit, verify, report."""

from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl
from omegaconf import DictConfig

from facerec.config import build
from facerec.config.compose import resolved
from facerec.config.settings import as_typed
from facerec.config.teachers import open_teacher
from facerec.console import log, terminal
from facerec.data.datamodule import FaceDataModule
from facerec.data.image_datamodule import ImageDataModule
from facerec.files import CACHE
from facerec.heads import CosineHead
from facerec.process import is_first_process, prepare_process
from facerec.runs.folder import checkpoint_to_resume
from facerec.runs.provenance import provenance, write_settings
from facerec.runs.report import show_table
from facerec.runs.results import run_results
from facerec.runs.run_lock import alone_in
from facerec.runs.run_results import RunResults
from facerec.runs.run_tables import run_tables
from facerec.runs.table_formats import terminal_table
from facerec.training.before_training import (
    refuse_long_warmup,
    refuse_unverified_epochs,
    refuse_what_cannot_end,
    unreached_epochs,
)
from facerec.training.fine_tuning import FineTuning
from facerec.training.initial_weights import InitialWeights
from facerec.training.learner import Learner
from facerec.training.maps import initialise_from_data
from facerec.training.rehearsal import rehearsed
from facerec.training.resumed import (
    Resumed,
    init_of,
    refuse_begun_epoch,
    refuse_fewer_epochs,
    refuse_foreign_paths,
    refuse_other_data,
    refuse_other_model,
    refuse_other_scores,
)

_ANEW = " in a new folder, where the best epoch is chosen among those to come"


def train(cfg: DictConfig, folder: Path, overrides: list[str]) -> RunResults | None:
    """Train in ``folder``, show the results and return them, or None on every device but the first."""
    results = trained(cfg, folder, overrides)
    if results is not None:
        for table in run_tables([folder]):
            show_table(table.shown, table.title)
            for sentence in table.said:
                log(sentence)
        log(f"done: {folder}")
    return results


def trained(
    cfg: DictConfig, folder: Path, overrides: list[str], callbacks: Sequence[pl.Callback] = ()
) -> RunResults | None:
    """Train in ``folder``, with these ``callbacks`` beside the configured ones, and return the results as `train`."""
    prepare_process()
    with alone_in(folder):
        return _trained(cfg, folder, overrides, callbacks)


def _trained(
    cfg: DictConfig, folder: Path, overrides: list[str], callbacks: Sequence[pl.Callback]
) -> RunResults | None:
    checkpoint = checkpoint_to_resume(cfg.resume, folder)
    resumed = None if checkpoint is None else Resumed.read(checkpoint)
    if resumed is not None:
        refuse_foreign_paths(resumed)
        refuse_begun_epoch(resumed, resolved(cfg))
        refuse_other_model(resumed, resolved(cfg))
    tuning = None if resumed is not None or cfg.init is None else _fine_tuning(cfg)
    build.refuse_missing_packages(cfg)
    build.check_types(cfg)
    build.refuse_other_sizes(cfg)
    build.refuse_useless_parts(cfg)
    build.seed_everything(cfg)
    teacher = open_teacher(cfg)
    backbone = build.build_backbone(cfg)
    if tuning is not None:
        tuning.load_backbone(backbone)
    data = build.build_data(cfg)
    described = teacher and teacher.described()
    if isinstance(data, FaceDataModule):
        data.teacher = described
    data.setup("fit")
    data.refuse_equal_images()
    if resumed is not None:
        refuse_other_data(resumed, data)
        stays = resumed.path.parent.resolve() == folder.resolve()
        if stays:
            refuse_other_scores(resumed, resolved(cfg), data.evaluated_sets())
        refuse_fewer_epochs(resumed, cfg.trainer.get("max_epochs"))
        _say(f"resuming from {checkpoint}{'' if stays else _ANEW}")
    elif tuning is None or tuning.has_started_operators:
        initialise_from_data(backbone, data, CACHE)
    learner = build.build_learner(cfg, backbone, data.num_identities, teacher and teacher.embedding_dim)
    if resumed is not None:
        learner.init = init_of(resumed)
    elif tuning is not None:
        _start_from(tuning, learner, data)
    trainer = build.build_trainer(cfg, callbacks)
    refuse_what_cannot_end(trainer, folder, learner.logged(each.name for each in data.evaluated_sets()))
    batches = data.batches_per_epoch(trainer.world_size)
    refuse_unverified_epochs(trainer, batches)
    schedule = rehearsed(learner, trainer.max_epochs)
    refuse_long_warmup(schedule, trainer, batches)
    if late := unreached_epochs(schedule, trainer.max_epochs):
        _say(late)
    if teacher is not None:
        assert isinstance(data, FaceDataModule)
        _say(f"teacher: {teacher}")
        data.learn_from(teacher)
        teacher = None  # a network that is not needed any more
    made_by = provenance(as_typed(overrides), learner.config, described)
    if trainer.is_global_zero:
        write_settings(folder, cfg, made_by)
    trainer.fit(learner, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    results = RunResults(**made_by, **run_results(trainer, learner, data, folder), init=learner.init)
    if not trainer.is_global_zero:
        return None
    results.write(folder)
    return results


def _fine_tuning(cfg: DictConfig) -> FineTuning:
    config = resolved(cfg)
    return FineTuning(InitialWeights.read(cfg.init, config), config)


def _start_from(tuning: FineTuning, learner: Learner, data: ImageDataModule) -> None:
    """Load the head, and print a table of what was taken."""
    if isinstance(head := getattr(learner, "head", None), CosineHead):
        tuning.load_head(head, data.state_dict()["train_fingerprint"])
    learner.init = tuning.summary()
    if is_first_process():
        log(f"starting from {tuning.initial.path}: weights {tuning.initial.which}")
        terminal(120).print(terminal_table(tuning.rows()))
        for difference in tuning.differences():
            log(f"the file was trained with {difference}")


def _say(message: str) -> None:
    """Print one line once, and not on every device."""
    if is_first_process():
        log(message)
