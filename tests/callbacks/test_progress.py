import time
from types import SimpleNamespace

import pytest
from pytorch_lightning.callbacks import TQDMProgressBar

from facerec.training.callbacks.progress import ProgressLine

WHOLE, BEGUN = (SimpleNamespace(restarted_mid_epoch=begun) for begun in (False, True))


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves on, and a bar that draws nothing."""
    now = SimpleNamespace(time=1000.0)
    monkeypatch.setattr(time, "perf_counter", lambda: now.time)
    for hook in ("on_train_start", "on_train_epoch_start", "on_train_batch_end", "on_train_epoch_end"):
        monkeypatch.setattr(TQDMProgressBar, hook, lambda *_: None)
    monkeypatch.setattr(TQDMProgressBar, "get_metrics", lambda *_: {"v_num": 3, "train/loss_step": 0.5})
    return now


def epoch(line: ProgressLine, trainer: SimpleNamespace, clock: SimpleNamespace, seconds: list[float]) -> dict:
    """Batches of 8 images that take ``seconds``; gives what was logged."""
    logged: dict[str, float] = {}
    module = SimpleNamespace(log=lambda name, value, **_: logged.update({name: value}))
    line.on_train_epoch_start(trainer, module)
    for number, taken in enumerate(seconds):
        clock.time += taken
        trainer.global_step += 1
        line.on_train_batch_end(trainer, module, None, (range(8), None), number)
    line.on_train_epoch_end(trainer, module)
    return logged


def test_speed_is_of_all_devices_and_leaves_out_the_first_batch_and_validation(clock):
    line, trainer = (
        ProgressLine(),
        SimpleNamespace(fit_loop=WHOLE, global_step=0, world_size=2, estimated_stepping_batches=8),
    )
    line.on_train_start(trainer, None)
    assert epoch(line, trainer, clock, [60, 1, 2, 1]) == {"images_per_second": 2 * 3 * 8 / 4}
    clock.time += 100  # validation
    assert epoch(line, trainer, clock, [60, 1, 1, 1])["images_per_second"] == 2 * 3 * 8 / 3


def test_an_epoch_of_one_batch_has_no_speed(clock):
    line, trainer = (
        ProgressLine(),
        SimpleNamespace(fit_loop=WHOLE, global_step=0, world_size=1, estimated_stepping_batches=1),
    )
    line.on_train_start(trainer, None)
    assert epoch(line, trainer, clock, [60]) == {}
    assert "images/s" not in line.get_metrics(trainer, None)


def test_the_time_left_is_that_of_the_steps_left_at_the_pace_so_far(clock):
    line, trainer = (
        ProgressLine(),
        SimpleNamespace(fit_loop=WHOLE, global_step=10, world_size=1, estimated_stepping_batches=40),
    )
    line.on_train_start(trainer, None)  # resumed at step 10
    assert line.get_metrics(trainer, None) == {"loss": 0.5}
    epoch(line, trainer, clock, [7, 1, 1, 1])
    clock.time += 10  # validation counts
    # Four steps in 20 seconds, 26 to go.
    assert line.get_metrics(trainer, None) == {"left": "0:02:10", "images/s": "8", "loss": 0.5}


def test_training_without_an_end_has_no_time_left(clock):
    line, trainer = (
        ProgressLine(),
        SimpleNamespace(fit_loop=WHOLE, global_step=0, world_size=1, estimated_stepping_batches=float("inf")),
    )
    line.on_train_start(trainer, None)
    epoch(line, trainer, clock, [1, 1])
    assert "left" not in line.get_metrics(trainer, None)


def test_an_epoch_that_is_gone_on_with_has_the_speed_of_its_other_batches(clock):
    line = ProgressLine()
    trainer = SimpleNamespace(fit_loop=BEGUN, global_step=5, world_size=1, estimated_stepping_batches=8)
    line.on_train_start(trainer, None)
    for number, seconds in ((5, 60), (6, 2), (7, 2)):
        clock.time += seconds
        line.on_train_batch_end(trainer, None, None, (range(8), None), number)
    assert line.get_metrics(trainer, None)["images/s"] == "4"
