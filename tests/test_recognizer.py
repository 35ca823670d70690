"""What the modules of a network are told before each batch, and what a step follows."""

from copy import deepcopy
from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import nn

from facerec.heads import AMSoftmax
from facerec.operators.base import SpatialOperator
from facerec.training.learner import Training
from facerec.training.recognizer import Recognizer

BATCHES = [(torch.randn(3, 2, 2), label) for label in (0, 1, 2, 3, 4)]


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
    fit(recognizer(listening), BATCHES, together, tmp_path)
    assert listening.told == expected


@pytest.mark.parametrize("together", [1, 2, 3, 5, 100])
@pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning")
def test_a_step_follows_the_mean_over_its_batches_also_where_they_are_fewer(together, tmp_path):
    ours = recognizer(Listening())
    theirs = deepcopy(ours)
    fit(ours, BATCHES, together, tmp_path)
    weights = list(theirs.parameters())
    for first in range(0, len(BATCHES), together):
        batches = BATCHES[first : first + together]
        losses = [F.cross_entropy(theirs.head(theirs.backbone(x[None]), y), y) for x, y in as_tensors(batches)]
        gradients = torch.autograd.grad(sum(losses) / len(losses), weights)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight -= 0.1 * gradient
    torch.testing.assert_close(list(ours.parameters()), weights)


def as_tensors(batches):
    return [(image, torch.tensor([label])) for image, label in batches]


def recognizer(backbone: nn.Module) -> Recognizer:
    optimizer = partial(torch.optim.SGD, lr=0.1)
    schedule = partial(torch.optim.lr_scheduler.MultiStepLR, milestones=[1])
    return Recognizer(Training(optimizer, schedule, {}), backbone, AMSoftmax(5, 4), "tvconv")


def fit(module: Recognizer, batches: list, together: int, folder: Path) -> None:
    """One epoch, each batch of one image."""
    trainer = pl.Trainer(
        max_epochs=1,
        accumulate_grad_batches=together,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(module, torch.utils.data.DataLoader(batches, batch_size=1))
