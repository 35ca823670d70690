"""The paper's method, by rates that are given."""

import pytest
import torch

from facerec.perf import throughput
from facerec.perf.timing import QUICK, Effort


@pytest.fixture
def seconds(monkeypatch):
    """One thread takes 1 second and 1 more an image, two threads half of it, four threads twice of it."""

    def alternate(calls, effort):
        slower = {1: 1.0, 2: 0.5, 4: 2.0}[torch.get_num_threads()]
        return {name: [slower * (1 + calls[name])] * 3 for name in calls}

    monkeypatch.setattr(throughput, "alternate", alternate)
    monkeypatch.setattr(throughput, "deployed", lambda kind, setting: None)
    monkeypatch.setattr(throughput, "pass_of", lambda network, images: len(images))


def test_the_best_batch_and_number_of_threads_count(seconds):
    before = torch.get_num_threads()
    rates, _ = throughput.cases(Effort())
    comparison = rates.run()
    # 16 images in (1 + 16) / 2 seconds.
    assert [spread.median for spread in comparison.contenders.values()] == pytest.approx([16 / 8.5] * 6)
    assert torch.get_num_threads() == before


def test_the_paper_compares_half_the_width():
    rates, peaks = throughput.cases(Effort())
    assert rates.name == "best of batch 1/2/4/8/16 and 1/2/4 threads"
    assert ("TVConv x0.5", "depthwise x1.0") in {(goal.top, goal.bottom) for goal in rates.goals}
    assert peaks.name == "peak memory at 8 x 3 x 96 x 96"


def test_the_peak_holds_the_weights_of_every_position():
    _, peaks = throughput.cases(QUICK)
    megabytes = {name: spread.median for name, spread in peaks.run().contenders.items()}
    # docs/results.md: 4,084,992 weights.
    assert megabytes["TVConv x0.1"] - megabytes["depthwise x0.1"] == pytest.approx(4.084992 * 4, rel=0.1)
