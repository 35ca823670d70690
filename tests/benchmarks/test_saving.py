"""What saving costs is measured on what a run writes."""

import torch

from facerec.perf import saving
from facerec.perf.network_speed import KINDS, OURS, TrainingStep
from facerec.perf.setting import Setting
from facerec.perf.timing import QUICK, Effort


def test_a_checkpoint_has_weights_centres_and_momentum():
    step = TrainingStep(KINDS[OURS], Setting(0.1, 2, 32))
    step()
    found = saving.content(step)
    (momentum,) = {len(state["state"]) for state in found["optimizer_states"]}
    assert momentum == len(step.parameters)
    assert torch.equal(found["state_dict"]["head.weight"], step.head.weight)


def test_saving_and_the_lock_may_take_a_hundredth_of_a_step():
    (case,) = saving.cases(Effort())
    assert {goal.top: (goal.bottom, goal.target, goal.at_most) for goal in case.goals} == {
        part: (saving.STEP, 0.01, True) for part in (saving.SAVED, saving.LOCK)
    }


def test_the_case_runs():
    (case,) = saving.cases(QUICK)
    assert all(ratio.spread.median > 0 for ratio in case.run().ratios)
