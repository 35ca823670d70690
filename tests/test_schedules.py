"""Learning rates step by step, against NumPy's and PyTorch's."""

import numpy as np
import pytest
import torch
from says import refuses
from torch import nn, optim
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

from facerec.training.schedules import Cosine, MultiStep, Polynomial, Schedule


def optimizer(*rates: float) -> optim.SGD:
    return optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates or (0.1,)], lr=0.1)


def rates(schedule: Schedule, epochs: int, steps: int) -> np.ndarray:
    """Learning rate of each step and group."""
    schedule.count_steps(steps)
    found = []
    for _ in range(epochs * steps):
        found.append([group["lr"] for group in schedule.optimizer.param_groups])
        schedule.optimizer.step()
        schedule.step()
    return np.array(found)


@pytest.mark.parametrize(
    ("milestones", "gamma"), [([22, 30, 35], 0.1), ([3, 1, 3], 0.3), ([], 0.1), ([0, 5], 0.7), ([60], 0.1)]
)
@pytest.mark.parametrize("steps", [1, 3, 7])
def test_multistep_without_warm_up_is_pytorchs_stepped_once_per_epoch_to_the_digit(milestones, gamma, steps):
    made = optimizer(0.1, 0.037)
    theirs, expected = MultiStepLR(made, milestones, gamma), []
    for _ in range(38):
        expected += [[group["lr"] for group in made.param_groups]] * steps
        made.step()
        theirs.step()
    found = rates(MultiStep(optimizer(0.1, 0.037), milestones, gamma), 38, steps)
    assert np.array_equal(found, np.array(expected))


def test_cosine_is_half_a_cosine_after_a_linear_rise():
    epochs, steps, warmup, final = 6, 5, 1.5, 0.1
    epoch = np.arange(epochs * steps) / steps
    done = np.clip((epoch - warmup) / (epochs - warmup), 0, 1)
    rise = np.minimum(1, (np.arange(epochs * steps) + 1) / (warmup * steps))
    expected = rise * (final + (1 - final) * (1 + np.cos(np.pi * done)) / 2)
    found = rates(Cosine(optimizer(0.1, 2.0), epochs, final, warmup), epochs, steps)
    np.testing.assert_allclose(found, expected[:, None] * [0.1, 2.0], rtol=1e-12)


def test_cosine_is_pytorchs_where_an_epoch_has_one_step():
    made = optimizer()
    theirs, expected = CosineAnnealingLR(made, 9), []
    for _ in range(9):
        expected.append(made.param_groups[0]["lr"])
        made.step()
        theirs.step()
    np.testing.assert_allclose(rates(Cosine(optimizer(), 9), 9, 1)[:, 0], expected, rtol=1e-9)


@pytest.mark.parametrize("power", [1.0, 2.0, 0.9])
def test_polynomial(power):
    epochs, steps, warmup = 4, 3, 1
    step = np.arange(epochs * steps)
    left = 1 - np.maximum(0, step - warmup * steps) / ((epochs - warmup) * steps)
    expected = 0.1 * np.minimum(1, (step + 1) / (warmup * steps)) * left**power
    found = rates(Polynomial(optimizer(), epochs, power, warmup_epochs=warmup), epochs, steps)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-12)


def test_multistep_counts_its_epochs_from_the_start_of_the_warm_up():
    found = rates(MultiStep(optimizer(1.0), [2], 0.5, warmup_epochs=0.5), 3, 4)[:, 0]
    np.testing.assert_allclose(found, [0.5, *[1.0] * 7, *[0.5] * 4])


@pytest.mark.parametrize(
    "make",
    [
        lambda made: MultiStep(made, [1, 2], warmup_epochs=0.4),
        lambda made: Cosine(made, 3, warmup_epochs=1.2),
        lambda made: Polynomial(made, 3, 1.5, 0.2),
    ],
)
@pytest.mark.parametrize("stopped", [1, 4, 11])
def test_a_state_that_is_loaded_goes_on_with_the_same_rates(make, stopped):
    whole = rates(make(optimizer(0.3)), 3, 5)
    first = make(optimizer(0.3))
    before = rates_until(first, stopped)
    other = make(optimizer(0.3))
    other.count_steps(5)
    other.load_state_dict(first.state_dict())
    assert other.state_dict() == first.state_dict()
    other.optimizer.load_state_dict(first.optimizer.state_dict())
    rest = []
    for _ in range(stopped, 15):
        rest.append([group["lr"] for group in other.optimizer.param_groups])
        other.optimizer.step()
        other.step()
    assert np.array_equal(np.concatenate([before, rest]), whole)


def rates_until(schedule: Schedule, stopped: int) -> np.ndarray:
    schedule.count_steps(5)
    found = []
    for _ in range(stopped):
        found.append([group["lr"] for group in schedule.optimizer.param_groups])
        schedule.optimizer.step()
        schedule.step()
    return np.array(found)


def test_a_state_of_pytorchs_schedule_and_one_of_other_steps_go_on_at_the_same_epoch():
    made = optimizer()
    old = MultiStepLR(made, [2, 4])
    for _ in range(3):
        made.step()
        old.step()
    ours = MultiStep(optimizer(), [2, 4])
    ours.count_steps(10)
    ours.load_state_dict(old.state_dict())
    assert ours.last_epoch == 30 and ours.get_last_lr() == old.get_last_lr()
    larger = MultiStep(optimizer(), [2, 4])
    larger.count_steps(4)
    larger.load_state_dict(ours.state_dict())
    assert larger.last_epoch == 12 and larger.steps_per_epoch == 4


@pytest.mark.parametrize(
    ("make", "facts"),
    [
        (lambda made: MultiStep(made, [1], warmup_epochs=-1), ("warmup_epochs", "-1")),
        (lambda made: Cosine(made, 5, warmup_epochs=5), ("T_max=5", "warmup_epochs=5")),
        (lambda made: Cosine(made, -1), ("T_max", "-1")),
        (lambda made: Cosine(made, 5, 1.5), ("final_factor", "1.5")),
        (lambda made: Polynomial(made, 5, -1.0), ("power", "-1")),
        (lambda made: MultiStep(made, [2, -1]), ("milestones", "at least 0", "[2, -1]")),
    ],
)
def test_settings_out_of_their_range_are_refused(make, facts):
    with refuses(*facts):
        make(optimizer())
