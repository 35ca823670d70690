"""A schedule that does not go through the run is refused before the first step."""

from functools import partial

import pytest
import torch
from says import refuses
from torch import nn, optim
from torch.optim import lr_scheduler as schedules

from facerec.errors import InputError
from facerec.heads import AMSoftmax
from facerec.training.learner import Training
from facerec.training.parameter_groups import ParameterGroups
from facerec.training.recognizer import Recognizer
from facerec.training.rehearsal import rehearsed

pytestmark = pytest.mark.filterwarnings("error")


def recognizer(schedule, optimizer=optim.SGD, **settings) -> Recognizer:
    config = {"lr_scheduler": settings}
    training = Training(partial(optimizer, lr=0.1), partial(schedule, **settings), config)
    return Recognizer(training, nn.Linear(3, 4), AMSoftmax(5, 4), "tvconv")


@pytest.mark.parametrize(
    ("schedule", "settings"),
    [
        (schedules.MultiStepLR, {"milestones": [1]}),
        (schedules.CosineAnnealingLR, {"T_max": 3}),
        (schedules.OneCycleLR, {"max_lr": 0.1, "total_steps": 3}),
        (schedules.CosineAnnealingWarmRestarts, {"T_0": 2}),
        (schedules.LinearLR, {}),
    ],
)
@pytest.mark.parametrize("max_epochs", [3, -1, None])
def test_a_schedule_that_goes_through_passes_and_changes_nothing(schedule, settings, max_epochs):
    module = recognizer(schedule, **settings)
    before = [parameter.clone() for parameter in module.parameters()]
    found = rehearsed(module, max_epochs)
    assert {key: found[key] for key in settings} == settings
    torch.testing.assert_close(list(module.parameters()), before)


def test_what_a_schedule_takes_by_itself_is_returned_too():
    assert rehearsed(recognizer(schedules.LinearLR), 3)["total_iters"] == 5
    cycle = recognizer(schedules.OneCycleLR, max_lr=0.1, epochs=3, steps_per_epoch=100)
    assert rehearsed(cycle, 3)["total_steps"] == 300


@pytest.mark.parametrize("max_epochs", [7, -1])
def test_a_schedule_that_follows_a_metric_is_refused(max_epochs):
    with refuses("ReduceLROnPlateau", "metric", "lr_scheduler=multistep", error=InputError):
        rehearsed(recognizer(schedules.ReduceLROnPlateau), max_epochs)


def test_a_schedule_that_ends_before_the_run_is_refused():
    with refuses("OneCycleLR", "after epoch 5", "max_epochs=7", "count its steps in epochs", error=InputError):
        rehearsed(recognizer(schedules.OneCycleLR, max_lr=0.1, total_steps=4), 7)


@pytest.mark.parametrize(
    ("schedule", "settings", "facts"),
    [
        (schedules.CosineAnnealingLR, {"T_max": 3, "eta_min": -1}, ("CosineAnnealingLR", "epoch 2")),
        (schedules.ExponentialLR, {"gamma": 1e200}, ("ExponentialLR", "inf", "epoch 3")),
        (schedules.StepLR, {"step_size": 1, "gamma": float("nan")}, ("StepLR", "nan", "epoch 2")),
    ],
)
def test_a_rate_that_nothing_is_trained_with_is_refused(schedule, settings, facts):
    with refuses(*facts, "change its settings", error=InputError):
        rehearsed(recognizer(schedule, **settings), 7)


@pytest.mark.parametrize(
    ("schedule", "settings"),
    [
        (schedules.OneCycleLR, {"max_lr": 0.1, "total_steps": 7}),
        (schedules.CyclicLR, {"max_lr": 0.1, "base_lr": 0.01, "cycle_momentum": False}),
    ],
)
def test_a_schedule_with_one_rate_for_all_groups_is_refused_where_they_differ(schedule, settings):
    module = recognizer(schedule, **settings)
    module.groups = ParameterGroups(lr_factor={"head": 2.0})
    with refuses(schedule.__name__, "parameter_groups.lr_factor", "lr_scheduler=cosine", error=InputError):
        rehearsed(module, 7)


@pytest.mark.parametrize("optimizer", [optim.LBFGS, optim.SparseAdam])
def test_an_optimizer_that_cannot_train_convolutions_is_refused(optimizer):
    with refuses(optimizer.__name__, "SGD", error=InputError):
        rehearsed(recognizer(schedules.LinearLR, optimizer), 7)
