"""The contenders of a network differ in their operator alone."""

import torch

from facerec.perf import setting
from facerec.perf.network_speed import DEPTHWISE, KINDS, OURS, PUBLISHED, TrainingStep, build_network, cases, deployed
from facerec.perf.setting import Setting
from facerec.perf.timing import Effort

SMALL = Setting(0.1, 3, 32)


def test_our_tvconv_and_the_published_one_make_the_same_network():
    ours, published = (build_network(KINDS[name], SMALL).eval() for name in (OURS, PUBLISHED))
    published.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(published(images), ours(images), rtol=1e-4, atol=1e-5)


def test_a_step_changes_every_parameter_and_the_centres():
    for kind in KINDS.values():
        step = TrainingStep(kind, SMALL)
        before = [parameter.detach().clone() for parameter in step.parameters]
        step()
        step()
        assert all((old != new).any() for old, new in zip(before, step.parameters, strict=True))
        assert step.loss().isfinite()


def test_the_inference_form_has_no_generator_left():
    for name in KINDS:
        network = deployed(KINDS[name], SMALL)
        assert not network.training
        assert not any("generator" in key or "affinity" in key for key in network.state_dict())


def test_the_memory_format_is_the_one_that_suits_the_operator():
    steps = {name: TrainingStep(KINDS[name], SMALL) for name in KINDS}
    formats = {name: step.images.is_contiguous(memory_format=torch.channels_last) for name, step in steps.items()}
    assert formats == {OURS: True, DEPTHWISE: True, PUBLISHED: False}


def test_the_targets_are_those_of_the_issue(monkeypatch):
    monkeypatch.setattr(setting, "free_bytes", lambda: 10**12)
    assert named_targets() == [
        ("MobileNetV2 x0.1, 96 x 96, batch 512: training step", 0.95),
        ("MobileNetV2 x0.1, 96 x 96, batch 128: training step", 0.88, 6),
        ("MobileNetV2 x0.1, 96 x 96, batch 32: inference", 0.9, None),
        ("MobileNetV2 x1.0, 96 x 96, batch 128: training step", 0.88, 6),
        ("MobileNetV2 x1.0, 96 x 96, batch 32: inference", 0.9, None),
    ]


def test_what_does_not_fit_is_run_in_a_smaller_batch_and_the_others_in_theirs(monkeypatch):
    monkeypatch.setattr(setting, "free_bytes", lambda: 17 * 10**9)
    assert named_targets()[3:5] == [
        ("MobileNetV2 x1.0, 96 x 96, batch 128: training step", 0.88),
        ("MobileNetV2 x1.0, 96 x 96, batch 64: training step", None, 6),
    ]


def named_targets():
    return [(case.name, *(goal.target for goal in case.goals)) for case in cases(Effort())]
