"""Training steps of an earlier commit, measured in turns with those of today."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from facerec.errors import InputError
from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.network_speed import DEPTHWISE, KINDS, OURS, TrainingStep
from facerec.perf.setting import Setting, fitting, note_on
from facerec.perf.timing import Effort, alternate, per_second
from facerec.runs.provenance import commit_of

_NOW, _FASTER = "now", 1.3
# What the other process runs: a step for each line that it is sent, and a line back.
_PROGRAM = """
import sys
import torch
from facerec.perf.network_speed import KINDS, TrainingStep
from facerec.perf.setting import Setting
from facerec.process import prepare_process
kind, width, batch, side, threads = sys.argv[1:]
prepare_process()
torch.set_num_threads(int(threads))
step = TrainingStep(KINDS[kind], Setting(float(width), int(batch), int(side)))
print(flush=True)
for _ in sys.stdin:
    step()
    print(flush=True)
"""


def cases(effort: Effort, checkout: Path) -> list[Case]:
    """Return the cases of MobileNetV2 x0.1 and x1.0 with both operators, beside the commit in the folder ``checkout``.

    Raises `InputError` like `commit_in`.
    """
    commit = commit_in(checkout)
    wanted = (Setting(0.1, 4, 32),) if effort.quick else (Setting(0.1, 128), Setting(1.0, 128))
    return [_case(kind, setting, checkout, commit, effort) for setting in wanted for kind in (DEPTHWISE, OURS)]


def commit_in(checkout: Path) -> str:
    """Return the seven first digits of the commit in the folder ``checkout``; raise `InputError` if it has none of the
    project."""
    commit = commit_of(checkout)
    if commit is None or not (checkout / "src" / "facerec").is_dir():
        raise InputError(f"before={checkout} is no checkout of facerec: make one by git worktree add FOLDER COMMIT")
    return commit[:7]


def _case(kind: str, wanted: Setting, checkout: Path, commit: str, effort: Effort) -> Case:
    setting, earlier = fitting(wanted, unfolds=True), f"at {commit}"
    measure = partial(_measure, kind, setting, checkout, earlier, effort)
    goal = Goal(_NOW, earlier, _FASTER if kind == DEPTHWISE else None)
    return Case("earlier", f"{setting}, {kind}: training step", "images/s", measure, [goal], note_on(wanted, setting))


def _measure(kind: str, setting: Setting, checkout: Path, earlier: str, effort: Effort) -> Rounds:
    now = TrainingStep(KINDS[kind], setting)
    with step_of(checkout, kind, setting) as then:
        return per_second(alternate({_NOW: now, earlier: then}, effort), setting.batch)


@contextmanager
def step_of(checkout: Path, kind: str, setting: Setting) -> Iterator[Callable[[], None]]:
    """Yield a function that waits for a training step of another process, which runs the code in ``checkout``."""
    words = (kind, setting.width, setting.batch, setting.side, torch.get_num_threads())
    program = [sys.executable, "-c", _PROGRAM, *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(checkout.absolute() / "src")}
    with subprocess.Popen(
        program, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        ask, answers = process.stdin, process.stdout

        def wait() -> None:
            if not answers.readline():
                raise InputError(f"before={checkout} cannot run a step of this benchmark (above): give a later commit")

        def step() -> None:
            print(file=ask, flush=True)
            wait()

        wait()
        yield step
        ask.close()
