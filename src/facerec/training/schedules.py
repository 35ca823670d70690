"""Learning rates that follow a curve over the epochs of a run and are set before each step."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from facerec.checks import check_number


class Schedule(LRScheduler, ABC):
    """The base of the schedules: counted in epochs, stepped after each step.

    In the first ``warmup_epochs``, step s (from 0) of w has (s + 1) / w of the rate of the curve.

    Args:
        optimizer: its learning rates, one per group, are the largest that the groups reach.
        warmup_epochs: length of the linear rise, as epochs or fractions of them.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, optimizer: Optimizer, warmup_epochs: float = 0.0) -> None:
        check_number("warmup_epochs", warmup_epochs)
        self.warmup_epochs, self.steps_per_epoch = warmup_epochs, 1
        super().__init__(optimizer)

    @abstractmethod
    def rate(self, base: float, epoch: float) -> float:
        """Return the learning rate after so many epochs of a group that begins with ``base``, without warm-up."""

    def count_steps(self, steps_per_epoch: int) -> None:
        """Set the steps per epoch, which the trainer knows, before the first step; 1 until then."""
        self.steps_per_epoch = steps_per_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self.last_epoch = -1
        super()._initial_step()

    def get_lr(self) -> list[Any]:
        epoch, warmup_steps = self.last_epoch / self.steps_per_epoch, self.warmup_epochs * self.steps_per_epoch
        rates = [self.rate(float(base), epoch) for base in self.base_lrs]
        done = (self.last_epoch + 1) / warmup_steps if warmup_steps else 1.0
        return [rate * done for rate in rates] if done < 1 else rates

    def state_dict(self) -> dict[str, Any]:
        """Return what changes in training; the rest is in the configuration."""
        return {key: vars(self)[key] for key in ("last_epoch", "steps_per_epoch", "base_lrs", "_last_lr")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at the same epoch, also if it had another number of steps, as after another batch size.

        The state may be that of PyTorch's MultiStepLR, stepped once per epoch, which ``multistep`` was in version 0.1.
        """
        epochs = state_dict["last_epoch"] / (state_dict.get("steps_per_epoch") or 1)
        super().load_state_dict({key: state_dict[key] for key in ("base_lrs", "_last_lr")})
        self.last_epoch = round(epochs * self.steps_per_epoch)


class MultiStep(Schedule):
    """Multiplies the learning rate by ``gamma`` at each of the epochs ``milestones``, counted from the start."""

    def __init__(
        self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, warmup_epochs: float = 0.0
    ) -> None:
        if milestones and min(milestones) < 0:
            raise ValueError(f"milestones must be epochs of at least 0, got {list(milestones)}: count from the start")
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, warmup_epochs)

    def rate(self, base: float, epoch: float) -> float:
        # One factor after the other, and one power for equal epochs: rounded as by PyTorch's MultiStepLR.
        for milestone in dict.fromkeys(m for m in self.milestones if m <= epoch):
            base *= self.gamma ** self.milestones.count(milestone)
        return base


class _Falling(Schedule):
    """Falls from the end of the warm-up to ``final_factor`` of the learning rate after ``T_max`` epochs."""

    def __init__(self, optimizer: Optimizer, T_max: float, final_factor: float, warmup_epochs: float) -> None:
        check_number("T_max", T_max)
        check_number("final_factor", final_factor, most=1.0)
        if not warmup_epochs < T_max:
            raise ValueError(
                f"warmup_epochs={warmup_epochs:g} must be fewer than T_max={T_max:g}, which is trainer.max_epochs "
                "unless it is given: lower the former, or train longer"
            )
        self.T_max, self.final_factor = T_max, final_factor
        super().__init__(optimizer, warmup_epochs)

    def rate(self, base: float, epoch: float) -> float:
        done = (epoch - self.warmup_epochs) / (self.T_max - self.warmup_epochs)
        return base * (self.final_factor + (1 - self.final_factor) * self.curve(min(1.0, max(0.0, done))))

    @abstractmethod
    def curve(self, done: float) -> float:
        """Return the curve at the fraction ``done`` of the fall: from 1 at 0 to 0 at 1."""


class Cosine(_Falling):
    """Falls along half a cosine, from the end of the warm-up to ``final_factor`` of the rate after ``T_max`` epochs.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", arXiv 1608.03983, equation 5, without
    restarts.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: float, final_factor: float = 0.0, warmup_epochs: float = 0.0
    ) -> None:
        super().__init__(optimizer, T_max, final_factor, warmup_epochs)

    def curve(self, done: float) -> float:
        return 0.5 * (1 + math.cos(math.pi * done))


class Polynomial(_Falling):
    """Falls as (1 - t) to the ``power``, t from 0 at the end of the warm-up to 1 after ``T_max`` epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: float,
        power: float = 2.0,
        final_factor: float = 0.0,
        warmup_epochs: float = 0.0,
    ) -> None:
        check_number("power", power)
        self.power = power
        super().__init__(optimizer, T_max, final_factor, warmup_epochs)

    def curve(self, done: float) -> float:
        return (1 - done) ** self.power
