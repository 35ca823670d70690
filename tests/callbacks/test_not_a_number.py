from types import SimpleNamespace

import pytest
import torch
from says import refuses

from facerec.errors import InputError
from facerec.training.callbacks.not_a_number import StopOnNaN

FINE, LOST, INFINITE = (torch.tensor(value) for value in (1.0, float("nan"), float("inf")))


OPTIMIZERS = [SimpleNamespace(param_groups=[{"lr": 0.25}])]


def trainer_at(step: int) -> SimpleNamespace:
    return SimpleNamespace(global_step=step, optimizers=OPTIMIZERS, precision="16-mixed")


def steps(callback: StopOnNaN, losses: list[torch.Tensor], first: int = 1) -> None:
    for step, loss in enumerate(losses, first):
        callback.on_train_batch_end(trainer_at(step), None, {"loss": loss.requires_grad_()}, None, 0)


@pytest.mark.parametrize("loss", [LOST, INFINITE, -INFINITE])
def test_the_first_lost_step_is_named_at_the_next_look(loss):
    callback = StopOnNaN(every_n_steps=5)
    steps(callback, [FINE, FINE, loss, FINE])
    with refuses(
        *("step 3", "0.25", "16-mixed", "optimizer.lr", "resume=auto trainer.precision=32-true", "facerec check_data"),
        error=InputError,
    ):
        steps(callback, [LOST], first=5)


def test_the_learning_rate_is_not_blamed_for_the_first_loss():
    with refuses("step 1", "facerec check_data", "trainer.precision=32-true", error=InputError):
        steps(StopOnNaN(every_n_steps=1), [LOST])


@pytest.mark.parametrize("look", ["on_validation_start", "on_save_checkpoint"])
def test_it_is_looked_at_before_a_checkpoint_is_written(look):
    callback = StopOnNaN(every_n_steps=1000)
    steps(callback, [FINE, LOST, FINE])
    with refuses("loss", "step 2", error=InputError):
        getattr(callback, look)(trainer_at(3), None, *([{}] if "save" in look else []))


def test_numbers_are_let_through():
    callback = StopOnNaN(every_n_steps=2)
    callback.on_validation_start(trainer_at(0), None)
    steps(callback, [FINE] * 6)
    callback.on_save_checkpoint(trainer_at(6), None, {})


def test_looking_every_no_steps_is_refused():
    with refuses("every_n_steps", "1", "0"):
        StopOnNaN(every_n_steps=0)
