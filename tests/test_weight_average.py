"""The average of the weights, against a loop over the weights after each step."""

from copy import deepcopy
from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from says import refuses
from torch import nn

from facerec.heads import AMSoftmax
from facerec.training.callbacks.weight_average import EMA
from facerec.training.learner import Training
from facerec.training.recognizer import Recognizer
from facerec.training.schedules import MultiStep
from facerec.training.trainer import Trainer

BATCHES = [(torch.randn(3, 2, 2), label % 5) for label in range(12)]
pytestmark = pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning")


class WithNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear = nn.BatchNorm2d(3), nn.Linear(3, 4)

    def forward(self, images):
        return self.linear(self.norm(images).mean((2, 3)))


class Recorded(pl.Callback):
    """The state after each step."""

    def __init__(self) -> None:
        self.states: list[dict[str, torch.Tensor]] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step > len(self.states):
            self.states.append({name: value.clone() for name, value in pl_module.state_dict().items()})


def recognizer() -> Recognizer:
    schedule, optimizer = partial(MultiStep, milestones=[1]), partial(torch.optim.SGD, lr=0.1)
    return Recognizer(Training(optimizer, schedule, {}), WithNorm(), AMSoftmax(5, 4), "tvconv")


def fit(module: Recognizer, folder: Path, *callbacks: pl.Callback, **settings) -> Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    quiet |= {"enable_model_summary": False, "default_root_dir": folder, "max_epochs": 2}
    trainer = Trainer(callbacks=list(callbacks), **{**quiet, **settings})
    trainer.fit(module, torch.utils.data.DataLoader(BATCHES, batch_size=3))
    return trainer


@pytest.mark.parametrize("together", [1, 3])
def test_it_is_that_of_the_weights_and_statistics_after_each_step(together, tmp_path):
    averaged, plain, recorded = recognizer(), None, Recorded()
    plain = deepcopy(averaged)
    fit(plain, tmp_path, recorded, accumulate_grad_batches=together)
    trainer = fit(averaged, tmp_path, ema=0.7, accumulate_grad_batches=together)
    assert len(recorded.states) == trainer.global_step == {1: 8, 3: 4}[together]
    expected = recorded.states[0]
    for state in recorded.states[1:]:
        expected = {
            name: 0.7 * value + 0.3 * state[name] if value.is_floating_point() else state[name]
            for name, value in expected.items()
        }
    torch.testing.assert_close(dict(averaged.state_dict()), expected)
    assert not torch.equal(averaged.head.weight, plain.head.weight)


def test_what_is_kept_of_the_weights_notices_each_exchange(tmp_path):
    module = recognizer()
    versions = module.head.weight._version
    callback = EMA(0.5)
    trainer = Trainer(logger=False, accelerator="cpu", enable_checkpointing=False, default_root_dir=tmp_path)
    callback.setup(trainer, module, "fit")
    callback.on_validation_epoch_start(trainer, module)
    assert module.head.weight._version > versions
    callback.teardown(trainer, module, "fit")
    with torch.no_grad():
        module.head.weight.zero_()
    callback.on_validation_epoch_start(trainer, module)  # of a checkpoint that is verified after the training
    assert not module.head.weight.any()


@pytest.mark.parametrize(("decay", "facts"), [(1.0, ("ema", "1")), (-0.1, ("ema", "-0.1")), (1.5, ("ema", "1.5"))])
def test_a_decay_out_of_its_range_is_refused(decay, facts):
    with refuses(*facts):
        Trainer(ema=decay, logger=False)
