"""A run that is interrupted, anywhere and in any way, and resumed equals one that was never interrupted."""

import os
import random
import signal
import time
from functools import partial
from itertools import product
from pathlib import Path

import pytest
import torch
from attack_row import Trial
from forked_program import Program
from running import finished_run
from says import says
from test_resume_inside import SAVING, SETTINGS, without_saving
from test_train import assert_same_run, checkpoint, plain

WORKERS = ["data.num_workers=2", "data.cache=null"]
RUNS = {
    **{name: settings for name, settings in SETTINGS.items()},
    "dynamic convolutions": [*SETTINGS["images"], "operator=dyconv_dw"],
    "rotation, loading processes": [*SETTINGS["images"], *WORKERS, "augmentation@data.train_augmentation=rotation"],
}
RESTS = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The finished run of these settings, never interrupted, and the seconds that it took."""
    found: dict[str, tuple[Path, float]] = {}

    def run(name: str) -> tuple[Path, float]:
        if name not in found:
            folder, begun = tmp_path_factory.mktemp("whole"), time.monotonic()
            assert (ended := Program(folder, "train", *RUNS[name])).status() == 0, ended.said
            found[name] = without_saving(finished_run(folder)), time.monotonic() - begun
        return found[name]

    return run


def resumed(folder: Path, name: str, whole, *settings: str) -> None:
    """Finish the run that was interrupted in ``folder``, and compare it with the whole one."""
    program = Program(folder, "train", *RUNS[name], *settings, "resume=auto")
    assert program.status() == 0, program.said
    run = finished_run(folder)
    assert not list(run.rglob(".partial*")), "leftovers"
    ours, theirs = without_saving(run), whole(name)[0]
    assert_same_run(ours, theirs)
    assert_same_fields(checkpoint(ours), checkpoint(theirs))


def assert_same_fields(one: dict, other: dict) -> None:
    """All of a checkpoint, but for paths and times."""
    assert one.keys() == other.keys()
    states = [{name: dict(state) for name, state in content["callbacks"].items()} for content in (one, other)]
    for state in (part for of_one in states for part in of_one.values()):
        for key in [key for key in state if "path" in key or key == "best_k_models"]:
            del state[key]
    torch.testing.assert_close(plain(states[0]), plain(states[1]), rtol=0, atol=0)
    torch.testing.assert_close(plain(one["loops"]), plain(other["loops"]), rtol=0, atol=0)


def interrupted(trial: Trial, draw: random.Random, folder: Path, whole, number: int) -> None:
    """A run of drawn settings is sent the signal at a drawn moment, and resumed. One that has ended before is tried
    again, for the time that it took. Half of the moments are after the first checkpoint, on a busy machine too."""
    name, to_all = draw.choice(list(RUNS)), draw.random() < 0.5
    settings = [SAVING] if draw.random() < 0.5 else []
    seconds, has_begun = whole(name)[1], draw.random() < 0.5
    for attempt in range(5):
        run = folder / str(attempt)
        program = Program(run, "train", *RUNS[name], *settings)
        while has_begun and not list(run.rglob("last.ckpt")) and not program.ended(0.05):
            pass
        begun, moment = time.monotonic(), draw.uniform(0 if has_begun else 0.1, 1) * seconds
        if not program.ended(moment) and stopped_by(program, number, to_all, run):
            if list(run.rglob("results.json")):
                assert_same_run(without_saving(finished_run(run)), whole(name)[0])
                trial.ending = "the same, with its results already written"
                return
            begun_anew = not list(run.rglob("last.ckpt"))
            trial.ending = "the same, begun anew" if begun_anew else "the same, from a checkpoint"
            resumed(run, name, whole, *settings)
            return
        seconds = min(seconds, time.monotonic() - begun)
    trial.ending = "had ended before"


def stopped_by(program: Program, number: int, to_all: bool, folder: Path) -> bool:
    """Whether the signal ends the program, as it should; False if it was done in that very moment."""
    program.send(number, to_all)
    status = program.status(60)
    if status == 0 and "done: " in program.said:
        return False
    assert status == RESTS[number] and "Traceback" not in program.said, (status, program.said[-1000:])
    if number != signal.SIGKILL and (program.said or list(folder.rglob("last.ckpt"))):  # SIGTERM before a run is silent
        assert says(program.said, "stopped") or says(program.said, "interrupted"), program.said[-1000:]
    return True


def test_killed_at_random_moments(row, whole, tmp_path):
    """Resume after SIGKILL at a random moment."""
    for number, draw in enumerate(row.trials(1, 30)):
        with row.trial(number) as trial:
            interrupted(trial, draw, tmp_path / str(number), whole, signal.SIGKILL)


def test_terminated(row, whole, tmp_path):
    """Resume after SIGTERM, to the process or its group."""
    for number, draw in enumerate(row.trials(0, 14)):
        with row.trial(number) as trial:
            interrupted(trial, draw, tmp_path / str(number), whole, signal.SIGTERM)
    row.not_tried = None if row.endings else "tried whole only"


def test_interrupted_by_hand(row, whole, tmp_path):
    """Resume after Ctrl-C, to the process or its group."""
    for number, draw in enumerate(row.trials(1, 14)):
        with row.trial(number) as trial:
            interrupted(trial, draw, tmp_path / str(number), whole, signal.SIGINT)


def test_ended_with_loading_processes(row, tmp_path):
    """A run with loading processes that is told to end, by SIGTERM and Ctrl-C, to the process or its group."""
    for sent, to_all in row.cases(list(product((signal.SIGTERM, signal.SIGINT), (False, True))), 1):
        with row.trial((sent.name, to_all)) as trial:
            folder = tmp_path / f"{sent.name}{to_all}"
            program = Program(folder, "train", *RUNS["rotation, loading processes"], "trainer.max_epochs=1000")
            while not list(folder.rglob("last.ckpt")):
                assert not program.ended(0.2), program.said
            program.send(sent, to_all)
            assert program.status(60) == RESTS[sent], program.said
            assert says(program.said, "stopped", "resume=auto") and "Error" not in program.said, program.said
            trial.ending = "ended in a sentence"


class KillingReplace:
    """`os.replace` that kills the process at its call ``number``: before the file, with half of it, or after it."""

    def __init__(self, number: int, when: str) -> None:
        self.left, self.when, self.replace = number, when, os.replace

    def __call__(self, source: str, target: str) -> None:
        self.left -= 1
        if self.left < 0:
            if self.when == "half" and os.path.isfile(source):
                os.truncate(source, os.path.getsize(source) // 2)
            if self.when == "after":
                self.replace(source, target)
            os.kill(os.getpid(), signal.SIGKILL)
        self.replace(source, target)


def kill_at_replace(number: int, when: str) -> None:
    os.replace = KillingReplace(number, when)  # pyright: ignore


def test_killed_inside_a_commit(row, whole, tmp_path):
    """Resume after SIGKILL before, in the midst of and after a file is put in its place."""
    cases = [(number, when) for number in range(12) for when in ("before", "half", "after")]
    for number, when in row.cases(cases, 1):
        with row.trial((number, when)) as trial:
            folder = tmp_path / f"{number}{when}"
            program = Program(folder, "train", *RUNS["images"], first=partial(kill_at_replace, number, when))
            status = program.status(60)
            assert status in (0, -9), program.said[-1000:]
            if status == 0:
                trial.ending = "had ended before"
                continue
            if list(folder.glob("outputs/*/*/results.json")):
                trial.ending = "killed after the last file"
                continue
            trial.ending = "the same, from a checkpoint" if list(folder.rglob("last.ckpt")) else "the same, begun anew"
            resumed(folder, "images", whole)


LONG = [
    *("data=synthetic", "data.num_identities=60", "data.images_per_identity=32", "data.global_batch_size=64"),
    *("data.num_test_identities=40", "data.num_pairs=200", "data.num_workers=1", "trainer=cpu", "width=0.1"),
    *("image_size=96", "operator=tvconv", "trainer.max_epochs=3", "lr_scheduler.milestones=[2]", "optimizer.lr=0.05"),
]


def test_killed_every_40_seconds(row, tmp_path):
    """TVConv x0.1 at 96 pixels, killed every 40 s until it ends."""
    if not list(row.trials(0, 1)):
        row.not_tried = "tried whole only"
        return
    settings = [*LONG, f"data.cache={tmp_path}/cache"]
    with row.trial("killed") as trial:
        assert (ended := Program(tmp_path / "whole", "train", *settings)).status(3600) == 0, ended.said
        kills = 0
        while True:
            saving = [*settings, "trainer.save_every=10s", "resume=auto"]
            program = Program(tmp_path / "killed", "train", *saving)
            if program.ended(40):
                break
            program.send(signal.SIGKILL, to_all=True)
            program.status(60)
            kills += 1
            assert kills < 200, "no progress"
        assert program.status() == 0, program.said
        assert_same_run(without_saving(finished_run(tmp_path / "killed")), finished_run(tmp_path / "whole"))
        trial.ending = f"the same after {kills} kills"
