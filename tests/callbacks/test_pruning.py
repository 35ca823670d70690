"""What a search is told of each epoch."""

from types import SimpleNamespace

import pytest
import torch

from facerec.training.callbacks.pruning import Pruned, ReportEpochs


def run(verdicts: list[bool], verified: list[bool] | None = None) -> list[tuple[int, float]]:
    """What is reported of a run with an epoch per verdict."""
    reported: list[tuple[int, float]] = []

    def report(epoch: int, accuracy: float) -> bool:
        reported.append((epoch, accuracy))
        return verdicts[epoch]

    callback = ReportEpochs(report)
    for epoch, is_verified in enumerate(verified or [True] * len(verdicts)):
        trainer = SimpleNamespace(current_epoch=epoch, max_epochs=len(verdicts))
        trainer.callback_metrics = {
            "held_out/accuracy": torch.tensor(0.5 + epoch / 4),
            "mean_accuracy": torch.tensor(1),
        }
        if is_verified:
            callback.on_validation_end(trainer, None)
        callback.on_train_epoch_end(trainer, None)
    return reported


def test_each_epoch_is_reported_with_the_accuracy_on_held_out_identities():
    assert run([False, False, False]) == [(0, 0.5), (1, 0.75), (2, 1.0)]


def test_an_epoch_that_was_not_verified_is_not_reported():
    assert run([True, False, False], [False, True, False]) == [(1, 0.75)]


def test_a_run_ends_where_the_report_says_so():
    with pytest.raises(Pruned, match="1") as pruned:
        run([False, True, False])
    assert pruned.value.epoch == 1


def test_the_last_epoch_is_no_place_to_prune():
    assert len(run([False, True])) == 2
