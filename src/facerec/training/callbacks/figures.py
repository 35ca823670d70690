"""Figures for TensorBoard: training images, those of the results, and affinity maps."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger

from facerec.plots.network import affinity_figure, image_grid
from facerec.training.evaluator import Evaluator


class Pictures(pl.Callback):
    """Logs a grid of the first training batch, and figures of the results and affinity maps after validation.

    Args:
        every_n_epochs: interval of the figures and maps; the last epoch is always drawn.
        num_images: in the grid.
    """

    def __init__(self, every_n_epochs: int = 1, num_images: int = 64) -> None:
        if every_n_epochs < 1:
            raise ValueError(f"every_n_epochs must be at least 1, got {every_n_epochs}")
        self.every_n_epochs, self.num_images = every_n_epochs, num_images

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 0 and batch_idx == 0:
            for board in _boards(trainer):
                board.add_image("training images", image_grid(batch[0][: self.num_images]), 0)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Evaluator) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every_n_epochs and epoch != trainer.max_epochs:
            return
        for board in _boards(trainer):
            for title, drawn in pl_module.figures().items():
                board.add_figure(title, drawn, trainer.global_step)
            if (figure := affinity_figure(pl_module.backbone)) is not None:
                board.add_figure("affinity maps", figure, trainer.global_step)


def _boards(trainer: pl.Trainer) -> list[Any]:
    if not trainer.is_global_zero:
        return []
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
