"""What a run could not end with is said before its first step."""

from pathlib import Path

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from says import refuses, says

from facerec.errors import InputError
from facerec.training.before_training import (
    refuse_long_warmup,
    refuse_no_time,
    refuse_unverified_epochs,
    refuse_what_cannot_end,
    unreached_epochs,
)
from facerec.training.checkpoints import BestCheckpoint
from facerec.training.verifier import Verifier

pytestmark = pytest.mark.filterwarnings(
    "ignore::lightning_fabric.utilities.warnings.PossibleUserWarning", "ignore:Checkpoint directory"
)


def best(folder: Path, **changes: object) -> BestCheckpoint:
    settings = {"filename": "best", "monitor": "mean_accuracy", "mode": "max", "save_on_train_epoch_end": True}
    return BestCheckpoint(folder, **{**settings, **changes})


def last(folder: Path, **changes: object) -> ModelCheckpoint:
    return ModelCheckpoint(folder, **{"filename": "last", "save_on_train_epoch_end": True, **changes})


def trainer(**settings: object) -> pl.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return pl.Trainer(**{"max_epochs": 2, **quiet, **settings})


def check(folder: Path, *callbacks: pl.Callback, **settings: object) -> None:
    refuse_what_cannot_end(trainer(callbacks=list(callbacks), **settings), folder, Verifier.logged(["lfw"]))


@pytest.mark.parametrize("monitor", ["mean_accuracy", "lfw/accuracy", "train/loss", "train/loss_epoch"])
def test_what_ends_well_passes(monitor, tmp_path):
    stop = EarlyStopping(monitor, mode="max")
    check(tmp_path, best(tmp_path), last(tmp_path), stop, check_val_every_n_epoch=2)
    check(tmp_path, best(tmp_path), last(tmp_path), LearningRateMonitor(), logger=CSVLogger(tmp_path))


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"fast_dev_run": True, "enable_progress_bar": True}, ("trainer.fast_dev_run", "trainer=smoke")),
        ({"max_epochs": 0}, ("trainer.max_epochs=0", "raise")),
        ({"max_steps": 0}, ("trainer.max_steps=0", "raise")),
        ({"limit_train_batches": 0}, ("trainer.limit_train_batches=0",)),
        *(
            ({"gradient_clip_val": value}, (f"trainer.gradient_clip_val={value}", "above 0"))
            for value in (float("nan"), -1.0, 0.0, float("inf"))
        ),
        ({"limit_val_batches": 0}, ("trainer.limit_val_batches=0", "remove it")),
        ({"check_val_every_n_epoch": 5}, ("check_val_every_n_epoch=5", "trainer.max_epochs=2", "lower")),
    ],
)
def test_settings_of_the_trainer_are_refused(settings, facts, tmp_path):
    with refuses(*facts, error=InputError):
        check(tmp_path, best(tmp_path), last(tmp_path), **settings)


@pytest.mark.parametrize(
    ("make", "facts"),
    [
        (lambda at: [last(at)], ("best.ckpt", "only last.ckpt", "callbacks.best")),
        (lambda at: [best(at)], ("last.ckpt", "only best.ckpt", "callbacks.last")),
        (lambda at: [best(at, filename="mybest"), last(at)], ("best.ckpt", "mybest.ckpt", "callbacks.best")),
        (lambda at: [best(at / "elsewhere"), last(at)], ("best.ckpt", "callbacks.best")),
        (lambda at: [best(at), last(at, every_n_train_steps=1)], ("last.ckpt", "callbacks.last", "each epoch")),
        (lambda at: [best(at), last(at, save_on_train_epoch_end=False)], ("last.ckpt", "each epoch")),
        (lambda at: [best(at, monitor="lfw/acuracy"), last(at)], ("lfw/acuracy", "lfw/accuracy")),
        (lambda at: [best(at, monitor="agedb/tar"), last(at)], ("agedb/tar", "mean_accuracy", "lfw/accuracy")),
        (lambda at: [best(at, mode="min"), last(at)], ("BestCheckpoint", "mode=min", "mode=max")),
        (lambda at: [best(at), last(at), EarlyStopping("val_loss")], ("EarlyStopping", "val_loss", "train/loss")),
        (lambda at: [best(at), last(at), EarlyStopping("mean_accuracy")], ("EarlyStopping", "mode=max")),
        (lambda at: [best(at), last(at), LearningRateMonitor()], ("LearningRateMonitor", "logger=tensorboard")),
    ],
)
def test_callbacks_are_refused(make, facts, tmp_path):
    with refuses(*facts, error=InputError):
        check(tmp_path, *make(tmp_path))


def test_a_callback_of_the_user_may_log_what_another_waits_for(tmp_path):
    class Logs(pl.Callback):
        pass

    check(tmp_path, best(tmp_path), last(tmp_path), EarlyStopping("mine"), Logs())


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        *(({"val_check_interval": value}, (f"val_check_interval={value}", "leave it out")) for value in (0, 0.0, 3)),
        ({"val_check_interval": 100}, ("trainer.val_check_interval=100", "4 steps", "leave it out")),
        ({"val_check_interval": 0.9}, ("trainer.val_check_interval=0.9", "4 steps", "leave it out")),
        ({"val_check_interval": "00:00:01:00"}, ("trainer.val_check_interval", "time", "leave it out")),
        ({"val_check_interval": 6, "check_val_every_n_epoch": None}, ("val_check_interval=6", "4 steps")),
        ({"val_check_interval": 12, "check_val_every_n_epoch": None}, ("val_check_interval=12", "max_epochs=2")),
        ({"limit_train_batches": 0.1}, ("trainer.limit_train_batches=0.1", "4 batches", "0.25")),
        ({"limit_train_batches": 3, "val_check_interval": 2}, ("trainer.val_check_interval=2", "3 steps")),
    ],
    ids=str,
)
def test_epochs_that_do_not_end_with_a_verification_are_refused(settings, facts):
    with refuses(*facts, error=InputError):
        refuse_unverified_epochs(trainer(**settings), 4)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        *({"val_check_interval": value} for value in (1, 2, 4, 0.5, 1.0)),
        *({"val_check_interval": value, "check_val_every_n_epoch": None} for value in (2, 8)),
        {"limit_train_batches": 3, "val_check_interval": 3},
        {"limit_train_batches": 0.25},
        {"limit_train_batches": 100},
    ],
    ids=str,
)
def test_those_that_do_pass(settings):
    refuse_unverified_epochs(trainer(**settings), 4)


@pytest.mark.parametrize(
    ("warmup", "settings", "facts"),
    [
        (2.0, {}, ("warmup_epochs=2.0", "trainer.max_epochs=2")),
        (5, {"max_epochs": 3}, ("warmup_epochs=5", "trainer.max_epochs=3")),
        (0.5, {"max_steps": 2}, ("warmup_epochs=0.5", "trainer.max_steps=2", "0.5 epochs")),
        (1, {"max_steps": 2, "accumulate_grad_batches": 3}, ("trainer.max_steps=2", "1 epochs")),
    ],
)
def test_a_warm_up_that_does_not_end_before_the_run_is_refused(warmup, settings, facts):
    with refuses(*facts, error=InputError):
        refuse_long_warmup({"warmup_epochs": warmup}, trainer(**settings), 4)


def test_a_shorter_one_passes():
    for warmup, settings in ((1.9, {}), (0, {}), (0.4, {"max_steps": 2}), (7, {"max_epochs": -1})):
        refuse_long_warmup({"warmup_epochs": warmup}, trainer(**settings), 4)
    refuse_long_warmup({}, trainer(), 4)


@pytest.mark.parametrize("time", ["00:00:00:00", "abc", "1:30", "", 5, 0, {}, {"hours": 0}], ids=str)
def test_a_time_that_is_none_is_refused(time):
    with refuses(f"trainer.max_time={time}", "DAYS:HOURS:MINUTES:SECONDS", error=InputError):
        refuse_no_time(time)
    for fine in (None, "00:00:00:01", "10:00:00:00", {"hours": 1}):
        refuse_no_time(fine)


@pytest.mark.parametrize(
    ("schedule", "max_epochs", "facts"),
    [
        ({"milestones": [22, 30, 35]}, 10, ("never falls", "max_epochs=10", "lr_scheduler.milestones=[22, 30, 35]")),
        ({"milestones": [5, 10, 12]}, 10, ("[10, 12]", "trainer.max_epochs=10")),
        ({"milestones": [10]}, 10, ("never falls",)),
        ({"step_size": 30}, 10, ("never falls", "lr_scheduler.step_size=30", "epochs")),
        ({"max_lr": 0.1, "total_steps": 100}, 10, ("trainer.max_epochs=10", "lr_scheduler.total_steps=100", "epochs")),
        ({"step_size_up": 2000}, 10, ("trainer.max_epochs=10", "lr_scheduler.step_size_up=2000")),
        ({"T_max": 11}, 10, ("lr_scheduler.T_max=11",)),
        ({"T_0": 20}, 10, ("lr_scheduler.T_0=20",)),
        ({"total_iters": 11}, 10, ("lr_scheduler.total_iters=11",)),
    ],
)
def test_epochs_that_a_run_does_not_reach_are_said(schedule, max_epochs, facts):
    assert says(unreached_epochs(schedule, max_epochs) or "", *facts)


@pytest.mark.parametrize(
    ("schedule", "max_epochs"),
    [
        *(({key: 10}, 10) for key in ("T_max", "T_0", "total_iters", "total_steps", "step_size_up")),
        *(({"milestones": [5, 9]}, 10), ({"milestones": []}, 10), ({"step_size": 9}, 10), ({"milestones": [5]}, -1)),
    ],
)
def test_a_schedule_that_a_run_goes_through_needs_no_word(schedule, max_epochs):
    assert unreached_epochs(schedule, max_epochs) is None
