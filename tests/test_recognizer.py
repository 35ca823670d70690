"""What the modules of a network are told before each batch."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from facerec.heads import AMSoftmax
from facerec.training.recognizer import Recognizer


class Listening(nn.Module):
    """An embedding, and what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.told = nn.Linear(3, 4), []

    def forward(self, images):
        return self.linear(images.mean((2, 3)))

    def anneal(self, progress):
        self.told.append(round(progress, 3))

    def expect_batches(self, first, more_follow):
        self.told.append((first, more_follow))


@pytest.mark.parametrize(
    ("together", "expected"),
    [
        (1, [0, (True, False), 0.25, (True, False), 0.5, (True, False), 0.75, (True, False), 1, (True, False)]),
        (2, [0, (True, True), 0, (False, False), 0.5, (True, True), 0.5, (False, False), 1, (True, False)]),
    ],
)
@pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning")
def test_modules_hear_of_the_progress_and_of_the_batches_that_follow_in_a_step(together, expected, tmp_path):
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
