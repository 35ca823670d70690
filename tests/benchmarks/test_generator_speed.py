"""The contenders of TVConv's generators do the same work."""

import torch

from facerec.perf import generator_speed as generator
from facerec.perf.setting import Setting
from facerec.perf.timing import QUICK, Effort


def test_both_give_the_same_weights_and_gradients():
    torch.manual_seed(0)
    found = {name: call() for name, call in generator.contenders(Setting(0.1, 1, 64)).items()}
    for ours, theirs in zip(found[generator.OURS], found[generator.PYTORCH], strict=True):
        assert (ours - theirs).norm() <= 1e-2 * theirs.norm() + 1e-6  # a ReLU's bend may be on either side


def test_the_target_is_a_tenth_of_a_step_of_the_largest_batch():
    found = {case.name: case.goals[0] for case in generator.cases(Effort())}
    (held,) = [name for name, goal in found.items() if goal.target is not None]
    assert "batch" in held and found[held].target == 0.1 and found[held].at_most


def test_every_case_runs():
    for case in generator.cases(QUICK):
        assert case.run().ratios[0].spread.median > 0
