"""What it costs that a run can be resumed from anywhere: its lock, and its checkpoints inside epochs."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from facerec.files import LAST
from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.network_speed import KINDS, OURS, TrainingStep
from facerec.perf.setting import Setting, fitting, note_on
from facerec.perf.timing import Effort, alternate, milliseconds
from facerec.runs.run_lock import BEAT, Claim
from facerec.training.checkpoints import WholeCheckpoint, load_checkpoint

STEP, SAVED, READ, LOCK = "training step", "saving", "reading", "the lock"
EVERY = 500  # steps from one checkpoint to the next
_MOST_OF_A_STEP = 0.01


def cases(effort: Effort) -> list[Case]:
    """Return the case of TVConv in MobileNetV2 x0.1: milliseconds a step; a checkpoint is read once."""
    wanted = Setting(0.1, 4, 32) if effort.quick else Setting(0.1, 128)
    setting = fitting(wanted, unfolds=False)
    name = f"{setting}: a checkpoint every {EVERY} steps, a sign of life every {BEAT:.0f} s, a step"
    goals = [Goal(part, STEP, _MOST_OF_A_STEP, at_most=True) for part in (SAVED, LOCK)]
    return [Case("saving", name, "ms", partial(_measure, setting, effort), goals, note_on(wanted, setting))]


def _measure(setting: Setting, effort: Effort) -> Rounds:
    step = TrainingStep(KINDS[OURS], setting)
    step()  # the optimizer's momentum is a part of the checkpoint
    with TemporaryDirectory() as folder:
        path, lock = Path(folder, LAST), Claim(Path(folder, ".lock"))
        save, read = partial(WholeCheckpoint().save_checkpoint, content(step), path), partial(load_checkpoint, path)
        save()
        lock.take("")
        try:
            rounds = milliseconds(alternate({STEP: step, SAVED: save, READ: read, LOCK: lock.beat}, effort))
        finally:
            lock.give_back()
    rounds[SAVED] = [time / EVERY for time in rounds[SAVED]]
    rounds[LOCK] = [time * own / (1000 * BEAT) for time, own in zip(rounds[LOCK], rounds[STEP], strict=True)]
    return rounds


def content(step: TrainingStep) -> dict[str, Any]:
    """Return what a checkpoint of ``step`` has: weights, the centres and the optimizer's state."""
    weights = {f"backbone.{name}": weight for name, weight in step.network.state_dict().items()}
    centres = {f"head.{name}": weight for name, weight in step.head.state_dict().items()}
    state = step.optimizer.state_dict()
    return {"state_dict": weights | centres, "optimizer_states": [state], "config": {}, "epoch": 0}
