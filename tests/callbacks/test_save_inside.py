from types import SimpleNamespace

import pytest
from says import refuses

from facerec.errors import InputError
from facerec.training.callbacks.save_inside import SaveInside
from facerec.training.inside_epoch import versions


@pytest.mark.parametrize("odd", ["", "500", "0steps", "-1steps", "1.5h", "1day", "steps", 500, "1" * 20 + "s"])
def test_what_is_no_interval_is_refused(odd):
    with refuses("save_every", repr(odd), "30min", "500steps", "null"):
        SaveInside(odd)


@pytest.mark.parametrize("text", [None, "1step", "500steps", "500 steps", "90s", "30min", "2h"])
def test_times_and_numbers_of_steps_are_taken(text):
    SaveInside(text)


def test_a_negative_grace_is_refused():
    with refuses("grace", "-1"):
        SaveInside(grace=-1)


def test_a_place_of_other_devices_is_refused():
    place = {"batches": 5, "devices": 2, "versions": versions(), "logged": []}
    with refuses("epoch 3", "trainer.devices=2", "1", error=InputError):
        SaveInside().on_load_checkpoint(SimpleNamespace(world_size=1), None, {"epoch": 3, "inside_epoch": place})


@pytest.mark.parametrize(("text", "saved"), [("3steps", [3, 6]), ("10s", [4, 8])])
def test_it_saves_as_often_as_it_is_told(text, saved, monkeypatch):
    clock = SimpleNamespace(time=0.0)
    monkeypatch.setattr("facerec.training.callbacks.save_inside.time.monotonic", lambda: clock.time)
    monkeypatch.setattr("facerec.training.callbacks.save_inside.is_between_steps", lambda _: True)
    strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)
    trainer, found = SimpleNamespace(global_step=0, world_size=2, strategy=strategy), []
    callback = SaveInside(text)

    def save(trainer: SimpleNamespace) -> None:
        found.append(trainer.global_step)
        callback.on_save_checkpoint(trainer, None, {})

    monkeypatch.setattr(callback, "save", save)
    callback.on_train_start(trainer, None)
    for _ in range(8):
        trainer.global_step, clock.time = trainer.global_step + 1, clock.time + 2.5
        callback.on_train_batch_end(trainer, None, None, None, 0)
    assert found == saved
