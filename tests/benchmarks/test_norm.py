"""The contenders of a BatchNorm with its activation do the same work."""

import torch

from facerec.perf import norm
from facerec.perf.layer import Shape
from facerec.perf.timing import QUICK, Effort


def test_both_give_the_same_output_and_gradients():
    found = {name: call() for name, call in norm.contenders(Shape(8, 6), torch.float32, batch=4).items()}
    assert len(found[norm.OURS]) == 4 and found[norm.OURS][0].shape == (4, 8, 6, 6)
    torch.testing.assert_close(found[norm.OURS], found[norm.PYTORCH], rtol=1e-4, atol=1e-4)


def test_the_targets_are_for_float32():
    targets = {case.name: case.goals[0].target for case in norm.cases(Effort())}
    assert [target for name, target in targets.items() if name.endswith("float32")] == [2.0, 2.0, 1.5]
    assert [target for name, target in targets.items() if name.endswith("bfloat16")] == [None, None, None]


def test_every_case_runs():
    for case in norm.cases(QUICK):
        comparison = case.run()
        assert [ratio.name for ratio in comparison.ratios] == [f"{norm.PYTORCH} / {norm.OURS}"]
