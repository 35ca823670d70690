"""What a training step keeps, re-derived from the sizes of the maps."""

import pytest
import torch
from torch import nn

from facerec.backbones.mobilenet_v2 import InvertedResidual
from facerec.operators.common import fused_sequence
from facerec.operators.depthwise import Depthwise
from facerec.perf import setting as setting_module
from facerec.perf.memory import cases, peak_bytes, recomputed_peak_bytes, saved_bytes
from facerec.perf.network_speed import DEPTHWISE, KINDS, OURS, PUBLISHED, Kind, build_network
from facerec.perf.setting import Setting
from facerec.perf.timing import Effort


def an_image(count, kind) -> float:
    """Bytes that one more image takes."""
    two, four = (count(kind, Setting(0.1, batch, 32)) for batch in (2, 4))
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
    published = KINDS[PUBLISHED]
    more = an_image(saved_bytes, published) - an_image(saved_bytes, Kind(Depthwise, published.memory_format))
    assert more == 4 * (9 * out - into)


def test_of_each_norm_with_its_activation_only_the_input_is_kept(monkeypatch):
    """The outputs of all norms but the last are made again; those with a shortcut are kept."""
    monkeypatch.setattr(fused_sequence, "LEAST_ELEMENTS", 0)
    setting, maps = Setting(0.1, 2, 32), []

    def add(module, inputs, output):
        maps.append(inputs[0][0].nbytes)

    network = build_network(KINDS[DEPTHWISE], setting).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(add)
        if isinstance(module, InvertedResidual) and module.has_shortcut:
            module.register_forward_hook(add)
    network(torch.zeros(2, 3, 32, 32))
    images, last = 3 * 32 * 32 * 4, 4 * 512 * 2
    assert abs(an_image(saved_bytes, KINDS[DEPTHWISE]) - sum(maps) - images) < 10 * last


def test_ours_keeps_the_map():
    assert an_image(saved_bytes, KINDS[OURS]) == an_image(saved_bytes, KINDS[DEPTHWISE])


@pytest.mark.parametrize("name", list(KINDS))
def test_the_peak_holds_parameters_momentum_and_what_is_kept(name):
    kind, setting = KINDS[name], Setting(0.1, 8, 32)
    parameters = sum(parameter.nbytes for parameter in build_network(kind, setting).parameters())
    assert peak_bytes(kind, setting) >= 2 * parameters + saved_bytes(kind, setting)


def test_recomputed_blocks_take_less():
    setting = Setting(0.1, 16, 32)
    assert recomputed_peak_bytes(KINDS[DEPTHWISE], setting) < peak_bytes(KINDS[DEPTHWISE], setting)


def test_more_images_take_more():
    published, depthwise = (an_image(peak_bytes, KINDS[name]) for name in (PUBLISHED, DEPTHWISE))
    assert published > depthwise > 0


@pytest.mark.parametrize(("free", "held"), [(10**12, 4), (10**9, 0)])
def test_the_target_is_held_against_the_batch_that_it_was_set_for(free, held, monkeypatch):
    monkeypatch.setattr(setting_module, "free_bytes", lambda: free)
    targets = {case.name: (case.goals[0].target, case.goals[0].at_most) for case in cases(Effort())}
    peaks = [name for name, (target, _) in targets.items() if target is not None]
    assert len(peaks) == held and all(name.endswith("peak of a training step") for name in peaks)
    assert {targets[name] for name in peaks} <= {(1.3, True)}
