"""The contenders among the heads do the same work, and the peak has what it must hold."""

import pytest
import torch

from facerec.perf import heads
from facerec.perf.timing import QUICK, Effort


@pytest.mark.parametrize("sample", [1.0, 0.1])
def test_a_step_moves_the_centres_that_it_compares(sample):
    step = heads.HeadStep(500, sample=sample)
    before = step.head.weight.detach().clone()
    step()
    moved = (step.head.weight != before).any(1).sum()
    positives = len(step.labels.unique())
    assert moved == positives + round(sample * (500 - positives))


def test_the_peak_holds_centres_momentum_gradient_and_logits():
    """Of a sample, the gradient and the logits are a tenth."""
    whole, logits = 20_000 * 128 * 4, 20_000 * 64 * 4
    dense, sampled = (heads.HeadStep(20_000, sample=sample).peak_bytes() for sample in (1.0, 0.1))
    assert 3 * whole + 2 * logits < dense < 6 * whole + 6 * logits
    assert 2 * whole < sampled < 2 * whole + (dense - 2 * whole) / 4


def test_sizes_are_those_of_large_training_sets():
    names = [case.name for case in heads.cases(Effort())]
    assert [name.split()[0] for name in names] == ["100,000", "100,000", "1,000,000", "1,000,000"]


def test_every_case_runs():
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("needs a PyTorch with gloo")
    for case in heads.cases(QUICK)[:2]:
        comparison = case.run()
        assert list(comparison.contenders) == [heads.DENSE, heads.SAMPLED, heads.DIVIDED]
        assert [ratio.name for ratio in comparison.ratios] == [
            f"{heads.DENSE} / {heads.SAMPLED}",
            f"{heads.DENSE} / {heads.DIVIDED}",
        ]
    peaks = comparison.contenders
    assert peaks[heads.DIVIDED].median < 0.7 * peaks[heads.DENSE].median
