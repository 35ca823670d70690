"""An exponential moving average of the weights."""

import warnings
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor
from torch.autograd.graph import increment_version

from facerec.checks import check_number


class EMA(WeightAveraging):
    """Averages weights and running statistics after each step; the average is verified and saved.

    Lightning's `WeightAveraging`: a checkpoint's ``state_dict`` has the average, and ``current_model_state`` the
    weights with which training continues. The average begins as the weights after the first step. Integers, such as the
    number of batches that a norm has seen, are copied.

    Args:
        decay: fraction of the average that a step keeps, from 0 to below 1.

    Raises:
        ValueError: the decay is not in this range.
    """

    def __init__(self, decay: float) -> None:
        check_number("ema", decay, most=1.0)
        if decay == 1:
            raise ValueError("ema is 1, with which the average stays at the first step: give a number below 1")
        super().__init__(avg_fn=partial(_moved, decay))
        self._is_swapped = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._device = trainer.strategy.root_device  # the weights get there later
        with warnings.catch_warnings():  # what `configure_model` divides among devices is averaged in parts
            warnings.filterwarnings("ignore", message=".* overrides the configure_model")
            super().setup(trainer, pl_module, stage)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Forget the average, which Lightning would put in place of the next weights that are verified."""
        self._average_model = None

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if self._is_swapped:  # a verification is broken off
            self._swap_models(pl_module)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def _swap_models(self, pl_module: pl.LightningModule) -> None:
        super()._swap_models(pl_module)
        self._is_swapped = not self._is_swapped
        _tell_of_change(pl_module)

    def _copy_average_to_current(self, pl_module: pl.LightningModule) -> None:
        super()._copy_average_to_current(pl_module)
        _tell_of_change(pl_module)


def _moved(decay: float, average: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
    return torch.lerp(current, average, decay) if average.is_floating_point() else current


def _tell_of_change(module: pl.LightningModule) -> None:
    """Lightning writes through ``.data``, which those who keep what follows from the weights do not notice."""
    increment_version([*module.parameters(), *module.buffers()])
