"""A step on some rows of a table of weights, as if the optimizer had no others.

Autograd's gradient of a few rows is a table of zeros with these rows, and an optimizer moves also rows whose gradient
is zero, by momentum and weight decay.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from facerec.errors import InputError


class DrawnRows:
    """The rows that were drawn since the last step, with the gradients that they have received."""

    def __init__(self) -> None:
        self._drawn: list[tuple[Tensor, Tensor]] = []

    def take(self, weight: nn.Parameter, index: Tensor) -> Tensor:
        """Return the rows ``index`` ``(K,)`` of ``weight``, and keep them until the step if they receive a gradient."""
        rows = weight.detach()[index].requires_grad_(weight.requires_grad)
        if rows.requires_grad and torch.is_grad_enabled():
            self._drawn.append((index, rows))
        return rows

    @contextmanager
    def step_on(self, weight: nn.Parameter, optimizer: Optimizer) -> Iterator[None]:
        """Let ``weight``, its gradient and its state in ``optimizer`` be those of the drawn rows in the ``with`` block,
        which makes the step. Afterwards the rows are put back, and none is drawn.

        Raises:
            InputError: the optimizer keeps state that is not per weight.
        """
        drawn = [(index, rows.grad) for index, rows in self._drawn if rows.grad is not None]
        self._drawn.clear()
        if not drawn:
            yield
            return
        index, whole = torch.cat([index for index, _ in drawn]).unique(), weight.data
        state = optimizer.state[weight]
        tables = _tables(state)
        state.update({key: table[index] for key, table in tables.items()})
        weight.data = whole[index]
        weight.grad = _sum_by_row(index, drawn)
        try:
            yield
        finally:
            whole[index] = rows = weight.data
            weight.data, weight.grad = whole, None
            for key, value in _tables(state).items():
                _refuse_odd_state(optimizer, key, value, rows)
                state[key] = tables[key] if key in tables else value.new_zeros(whole.shape)
                state[key][index] = value


def draw(num_rows: int, positives: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """Return the sorted indices of the rows ``positives``, which are distinct, and of a random ``fraction`` of the
    others, rounded; of one row at least."""
    is_other = torch.ones(num_rows, dtype=torch.bool, device=positives.device)
    is_other[positives] = False
    others = is_other.nonzero()[:, 0]
    number = max(round(fraction * len(others)), 0 if len(positives) else 1)
    chosen = torch.randperm(len(others), generator=generator, device=positives.device)[:number]
    return torch.cat((positives, others[chosen])).sort().values


def generator_of(numbers: Sequence[int], device: torch.device) -> torch.Generator:
    """Return a random generator whose state follows from all of these ``numbers``."""
    (seed,) = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(seed >> np.uint64(1)))


def _tables(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return what an optimizer keeps per weight, and not once for all of them, as the number of steps."""
    return {key: value for key, value in state.items() if isinstance(value, Tensor) and value.ndim}


def _sum_by_row(index: Tensor, drawn: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the sum of the gradients of each of the rows ``index``, which is sorted."""
    if len(drawn) == 1:
        return drawn[0][1]
    total = drawn[0][1].new_zeros((len(index), *drawn[0][1].shape[1:]))
    for rows, grad in drawn:
        total.index_add_(0, torch.searchsorted(index, rows), grad)
    return total


def _refuse_odd_state(optimizer: Optimizer, key: str, value: Tensor, rows: Tensor) -> None:
    if value.shape != rows.shape:
        raise InputError(
            f"optimizer {type(optimizer).__name__} keeps {key} of shape {tuple(value.shape)} for weights of "
            f"{tuple(rows.shape)}, so that head.sample cannot step on some of them: take optimizer=sgd or adamw"
        )
