"""What a training step keeps, re-derived from the sizes of the maps."""

import pytest
import torch

from facerec.operators.depthwise import Depthwise
from facerec.perf import setting as setting_module
from facerec.perf.memory import cases, peak_bytes, saved_bytes
from facerec.perf.network_speed import DEPTHWISE, KINDS, OURS, PUBLISHED, build_network
from facerec.perf.setting import Setting
from facerec.perf.timing import Effort


def an_image(count, name) -> float:
    """Bytes that one more image takes."""
    two, four = (count(KINDS[name], Setting(0.1, batch, 32)) for batch in (2, 4))
    return (four - two) / 2


def map_sizes() -> tuple[int, int]:
    """Numbers that go into all depthwise convolutions for an image, and that come out."""
    sizes = [0, 0]

    def add(module, inputs, output):
        sizes[0] += inputs[0].numel()
        sizes[1] += output.numel()

    network = build_network(KINDS[DEPTHWISE], Setting(0.1, 1, 32)).eval()
    for module in network.modules():
        if isinstance(module, Depthwise):
            module.register_forward_hook(add)
    network(torch.zeros(1, 3, 32, 32))
    return sizes[0], sizes[1]


def test_the_published_form_keeps_nine_windows_where_the_depthwise_convolution_keeps_the_map():
    into, out = map_sizes()
    more = an_image(saved_bytes, PUBLISHED) - an_image(saved_bytes, DEPTHWISE)
    assert more == 4 * (9 * out - into)


def test_ours_keeps_the_map():
    assert an_image(saved_bytes, OURS) == an_image(saved_bytes, DEPTHWISE)


@pytest.mark.parametrize("name", list(KINDS))
def test_the_peak_holds_parameters_momentum_and_what_is_kept(name):
    kind, setting = KINDS[name], Setting(0.1, 8, 32)
    parameters = sum(parameter.nbytes for parameter in build_network(kind, setting).parameters())
    assert peak_bytes(kind, setting) >= 2 * parameters + saved_bytes(kind, setting)


def test_more_images_take_more():
    assert an_image(peak_bytes, DEPTHWISE) > 0 and an_image(peak_bytes, PUBLISHED) > an_image(peak_bytes, DEPTHWISE)


@pytest.mark.parametrize(("free", "held"), [(10**12, 4), (10**9, 0)])
def test_the_target_is_held_against_the_batch_that_it_was_set_for(free, held, monkeypatch):
    monkeypatch.setattr(setting_module, "free_bytes", lambda: free)
    targets = {case.name: (case.goals[0].target, case.goals[0].at_most) for case in cases(Effort())}
    peaks = [name for name, (target, _) in targets.items() if target is not None]
    assert len(peaks) == held and all(name.endswith("peak of a training step") for name in peaks)
    assert {targets[name] for name in peaks} <= {(1.3, True)}
