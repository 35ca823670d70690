"""A run that was interrupted inside an epoch goes on with the next step, as if nothing had happened."""

import signal
from pathlib import Path
from unittest import mock

import pytest
import torch
from interruption import full_disk
from running import DEPTHWISE, TVCONV, only_run, train, trained
from says import says
from test_train import assert_same_run, checkpoint

from facerec import handlers

# Two epochs of four steps.
SHORT = ["trainer.max_epochs=2", "optimizer.lr=0.02", "lr_scheduler.milestones=[1]"]
LOADED = ["data.num_workers=2", "data.cache=null"]
SETTINGS = {
    "images": [*DEPTHWISE, *SHORT],
    "identities, loading processes, held-out people, erasing": [
        *(*DEPTHWISE, *SHORT, *LOADED, "data.sampling=identities", "augmentation@data.train_augmentation=erasing"),
        *("data.num_identities=28", "data.held_out_identities=20"),
    ],
    "accumulation, bfloat16, average": [
        *(*DEPTHWISE, *SHORT, "+trainer.accumulate_grad_batches=3", "trainer.precision=bf16-mixed"),
        "trainer.ema=0.9",
    ],
    "tvconv, a schedule of steps, a head with state": [
        *(*TVCONV, *SHORT[:2], "lr_scheduler=cosine", "lr_scheduler.warmup_epochs=1", "head=adaface"),
    ],
    "verification inside epochs": [*DEPTHWISE, *SHORT, "+trainer.val_check_interval=2"],
}
SAVING = "trainer.save_every=1steps"


def crash(step: int) -> str:
    return f"+callbacks.crash={{_target_: interruption.Crash, step: {step}}}"


def told(step: int, number: int, when: str = "on_train_batch_start", times: int = 1) -> str:
    what = f"step: {step}, number: {number}, when: {when}, times: {times}"
    return f"+callbacks.told={{_target_: interruption.Signal, {what}}}"


@pytest.fixture(autouse=True)
def ends_as_a_program(monkeypatch):
    before = signal.signal(signal.SIGTERM, handlers._terminate), signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGTERM, before[0])
    signal.signal(signal.SIGINT, before[1])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run of the settings by their name, never interrupted."""
    found: dict[str, Path] = {}

    def run(name: str) -> Path:
        if name not in found:
            found[name] = trained(tmp_path_factory.mktemp("whole"), *SETTINGS[name])
        return found[name]

    return run


class TestItEqualsAnUninterruptedOne:
    @pytest.mark.parametrize(
        ("name", "step", "place"),
        [
            ("identities, loading processes, held-out people, erasing", 6, (1, 1)),
            ("accumulation, bfloat16, average", 4, (1, 3)),
            ("tvconv, a schedule of steps, a head with state", 3, (0, 2)),
            ("verification inside epochs", 8, (1, 3)),
        ],
    )
    def test_after_a_crash(self, name, step, place, whole, tmp_path):
        assert train(tmp_path, *SETTINGS[name], SAVING, crash(step)) == 1
        stopped = checkpoint(only_run(tmp_path))
        assert (stopped["epoch"], stopped["inside_epoch"]["batches"]) == place
        assert train(tmp_path, *SETTINGS[name], SAVING, "resume=auto") == 0
        assert_same_run(without_saving(only_run(tmp_path)), whole(name))

    def test_after_many_crashes(self, whole, tmp_path):
        for step in (2, 3, 6):
            assert train(tmp_path, *SETTINGS["images"], SAVING, crash(step), "resume=auto") == 1
        assert train(tmp_path, *SETTINGS["images"], SAVING, "resume=auto") == 0
        assert_same_run(without_saving(only_run(tmp_path)), whole("images"))

    @pytest.mark.parametrize(
        ("name", "signal_sent", "status", "place"),
        [
            ("images", told(3, signal.SIGTERM), 143, (4, 4)),  # in the last step, before it is verified
            ("identities, loading processes, held-out people, erasing", told(5, signal.SIGINT), 130, (6, 2)),
            ("accumulation, bfloat16, average", told(2, signal.SIGTERM, "on_validation_batch_end"), 143, (2, 4)),
            ("verification inside epochs", told(5, signal.SIGTERM), 143, (6, 2)),
        ],
    )
    def test_after_it_was_told_to_end(self, name, signal_sent, status, place, whole, tmp_path, capsys):
        assert train(tmp_path, *SETTINGS[name], signal_sent) == status
        stopped = only_run(tmp_path)
        shown, said = capsys.readouterr()
        assert says(said, "stopped", str(stopped), "resume=auto")
        assert shown.endswith("\n")  # the progress bar's line
        content = checkpoint(stopped)
        assert (content["global_step"], content["inside_epoch"]["batches"]) == place
        assert train(tmp_path, *SETTINGS[name], "resume=auto") == 0
        assert_same_run(stopped, whole(name))


class TestTheProcessEnds:
    """After the step; or at once."""

    @pytest.mark.parametrize(
        ("settings", "steps"),
        [
            ([told(6, signal.SIGTERM, times=2)], 4),  # a second one
            ([told(6, signal.SIGTERM), "trainer.grace=0"], 4),
            ([told(8, signal.SIGTERM, "on_validation_batch_end"), "+trainer.max_steps=8"], 8),
        ],
    )
    def test_with_the_steps_that_it_had_time_for(self, settings, steps, tmp_path):
        assert train(tmp_path, *SETTINGS["images"], *settings) == 143
        assert checkpoint(only_run(tmp_path))["global_step"] == steps

    def test_with_the_reason_why_nothing_could_be_saved(self, tmp_path, capsys):
        with full_disk(after=0, name="last.ckpt"):
            assert train(tmp_path, *SETTINGS["images"], told(2, signal.SIGTERM)) == 1
        assert says(capsys.readouterr().err, "last.ckpt", "cannot be written", "free space")

    def test_before_the_first_step_with_nothing(self, tmp_path, capsys):
        assert train(tmp_path, *SETTINGS["images"], told(0, signal.SIGTERM)) == 143
        assert says(capsys.readouterr().err, "stopped before the first checkpoint")

    def test_after_the_last_step_with_the_results(self, tmp_path, capsys):
        with mock.patch("facerec.commands.one_run.run_tables", side_effect=KeyboardInterrupt):
            assert train(tmp_path, *SETTINGS["images"]) == 130
        run = only_run(tmp_path)
        said = capsys.readouterr().err
        assert says(said, "stopped when the training had ended", str(run)) and "resume=auto" not in said
        assert (run / "results.json").is_file()


def without_saving(run: Path) -> Path:
    """Leave the one setting that differs out of the checkpoints."""
    for name in ("best", "last"):
        content = checkpoint(run, name)
        content["config"]["trainer"]["save_every"] = None
        torch.save(content, run / f"{name}.ckpt")
    return run
