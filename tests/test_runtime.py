"""Time and memory of a forward pass, on networks whose memory a person can add up."""

import pytest
import torch
from torch import nn

from facerec.operators.tvconv import TVConv
from facerec.perf.runtime import measure_runtime

IMAGES = 8 * 3 * 20 * 10 * 4  # bytes of the eight images


class Steps(nn.Module):
    """Three results as large as the images; two of them live at a time."""

    def forward(self, x):
        once = x + 1
        twice = once * 2
        del once
        return twice - 1


class Kept(nn.Module):
    """Three results as large as the images that live together."""

    def forward(self, x):
        return torch.stack([x + 1, x + 2]).sum(0)


def test_the_peak_is_the_images_and_the_results_that_live_together():
    assert measure_runtime(Steps(), (20, 10), seconds=0).peak_memory_mb == pytest.approx(3 * IMAGES / 1e6, abs=0.006)
    # Two sums, and their copies side by side; the sums are freed before the result is made.
    assert measure_runtime(Kept(), (20, 10), seconds=0).peak_memory_mb == pytest.approx(5 * IMAGES / 1e6, abs=0.006)


def test_weights_count():
    conv = nn.Conv2d(3, 64, 9, padding=4)
    weights = (3 * 64 * 81 + 64) * 4
    assert (
        measure_runtime(conv, (20, 10), seconds=0).peak_memory_mb > (weights + IMAGES * 64 / 3 + IMAGES) / 1e6 - 0.006
    )


def test_the_inference_form_is_run_and_the_network_left_as_it_was():
    network = nn.Sequential(TVConv(3, 1, (20, 10)), nn.BatchNorm2d(3))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    runtime = measure_runtime(network, (20, 10), seconds=0)
    # Its cached weights, far less than the generator's parameters.
    assert runtime.peak_memory_mb < sum(p.numel() for p in network.parameters()) * 4 / 1e6
    assert network.training and all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_the_rate_is_that_of_the_median_pass(monkeypatch):
    class Clock(nn.Module):
        """Each pass takes the next of these seconds, by a clock that nothing else moves."""

        now, passes = 0.0, [9.0, 0.5, 2.0, 1.0, 1.0]

        def forward(self, x):
            Clock.now += self.passes.pop(0)
            return x

    monkeypatch.setattr("facerec.perf.runtime.time.perf_counter", lambda: Clock.now)
    monkeypatch.setattr("facerec.perf.runtime.peak_allocated", lambda *_: 0)
    runtime = measure_runtime(Clock(), (4, 4), seconds=3)
    assert runtime.images_per_second == 8 / 1.0
    assert runtime.threads == torch.get_num_threads()
