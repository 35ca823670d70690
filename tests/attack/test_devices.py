"""A run on two devices that is ended, in any way, ends on both; and goes on."""

import contextlib
import os
import signal
import subprocess
import time
from itertools import product
from pathlib import Path

from attack_row import Trial
from running import finished_run, only_run
from says import says
from test_resume_inside import without_saving
from test_train import assert_same_run, checkpoint
from test_two_devices import ON_TWO, losses, started

STATUS = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: 137}
SECONDS = 15


def test_ended_on_two_devices(row, tmp_path):
    """Two devices: SIGTERM, Ctrl-C and SIGKILL of either process and of both, then resumed on two or one."""
    cases = [case for case in product(STATUS, ("0", "1", "all"), (2, 1)) if case[:2] != (signal.SIGKILL, "all")]
    for number, (sent, to, devices) in enumerate(row.cases(cases, 2)):
        with row.trial((sent.name, to, devices)) as trial:
            ended_and_resumed(trial, tmp_path / str(number), sent, to, devices)


def test_killed_inside_an_epoch_on_two_devices(row, tmp_path):
    """Two devices: both killed inside an epoch, after any step, and resumed on two."""
    settings = ["trainer.max_epochs=2", "logger=none"]
    whole = tmp_path / "whole"
    whole.mkdir()
    finish(started(whole, *settings))
    for step in row.cases(range(1, 8), 1):
        with row.trial(step) as trial:
            folder = tmp_path / str(step)
            folder.mkdir()
            kill = f"+callbacks.kill={{_target_: interruption.KillOnce, step: {step}, marker: '{folder}/killed'}}"
            first = started(folder, *settings, "trainer.save_every=1steps", kill)
            first.communicate(timeout=120)
            assert first.returncode in (137, -9), first.returncode
            finish(started(folder, *settings, "trainer.save_every=1steps", "resume=auto"))
            ours, theirs = (without_saving(finished_run(each)) for each in (folder, whole))
            assert_same_run(ours, theirs)
            trial.ending = "the same, bit for bit"


def finish(program: subprocess.Popen[str]) -> None:
    _, said = program.communicate(timeout=300)
    assert program.returncode == 0, said


def ended_and_resumed(trial: Trial, folder: Path, sent: signal.Signals, to: str, devices: int) -> None:
    folder.mkdir()
    said, status, took = ended(folder, sent, to)
    # The first process is the one that is waited for: its own death is what is seen.
    assert status == (-9 if (sent, to) == (signal.SIGKILL, "0") else STATUS[sent]), (status, said)
    after = said.rpartition("MEMBER: 2/2")[2]
    assert "Traceback" not in after and after.count("stopped") == 1 and "failed" not in after, said
    killed = ["SIGKILL", f"device {to}"] if sent == signal.SIGKILL else ["checkpoint"]
    assert says(after, "resume=auto", *killed), said
    epochs = checkpoint(only_run(folder))["epoch"] + 2
    on = ON_TWO if devices == 2 else ["trainer=cpu"]
    again = started(folder, f"trainer.max_epochs={epochs}", "logger=none", "resume=auto", devices=on)
    assert again.communicate(timeout=300) and again.returncode == 0
    assert checkpoint(only_run(folder))["epoch"] == epochs - 1
    trial.ending = f"within {SECONDS} s, and resumed" if took < SECONDS else f"after {took:.0f} s, and resumed"


def ended(folder: Path, sent: signal.Signals, to: str) -> tuple[str, int, float]:
    """What a run says that is ended once it has a checkpoint, its exit status, and the seconds that it takes to end."""
    program = started(folder, "trainer.max_epochs=10000", "logger=none", losses(folder))
    try:
        wait_for_checkpoint(program, folder)
        begun = time.monotonic()
        if to == "all":
            os.killpg(program.pid, sent)
        else:
            os.kill(int((folder / f"{to}.pid").read_text()), sent)
        _, said = program.communicate(timeout=60)  # both hold the pipe
        return said, program.returncode, time.monotonic() - begun
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)


def wait_for_checkpoint(program: subprocess.Popen[str], folder: Path) -> None:
    while not list(folder.glob("outputs/*/*/last.ckpt")):
        assert program.poll() is None, program.communicate()
        time.sleep(0.2)
