"""What the modules of a network are told before each batch."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from facerec.heads import AMSoftmax
from facerec.operators.base import SpatialOperator
from facerec.training.recognizer import Recognizer


class Listening(SpatialOperator):
    """An embedding, and what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.told = nn.Linear(3, 4), []

    def forward(self, images):
        return self.linear(images.mean((2, 3)))

    def on_step(self, progress):
        self.told.append(round(progress, 3))


@pytest.mark.parametrize(
    ("together", "expected"),
    [
        (1, [0, 0.25, 0.5, 0.75, 1]),
        (2, [0, 0, 0.5, 0.5, 1]),
    ],
)
@pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning")
def test_operators_hear_of_the_progress_before_each_batch(together, expected, tmp_path):
    listening = Listening()
    recognizer = Recognizer(
        listening,
        AMSoftmax(5, 4),
        optimizer=partial(torch.optim.SGD, lr=0.1),
        lr_scheduler=partial(torch.optim.lr_scheduler.MultiStepLR, milestones=[1]),
        protocol="tvconv",
        config={},
    )
    batches = torch.utils.data.DataLoader([(torch.randn(3, 2, 2), label) for label in (0, 1, 2, 3, 4)], batch_size=1)
    trainer = pl.Trainer(
        max_epochs=1,
        accumulate_grad_batches=together,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(recognizer, batches)
    assert listening.told == expected
