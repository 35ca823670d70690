"""The contenders of a layer do the same work."""

import pytest
import torch

from facerec.perf import layer
from facerec.perf.timing import QUICK, Effort

SHAPES = pytest.mark.parametrize("shape", [layer.Shape(4, 5), layer.Shape(3, 7, 2)], ids=str)


@SHAPES
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1)], ids=str)
def test_both_forms_of_tvconv_give_the_same_and_both_depthwise(shape, dtype, tolerance):
    outputs = {
        name: contender.convolve(contender.images, contender.weight)
        for name, contender in layer.contenders(shape, dtype, batch=2).items()
    }
    for one, other in ((layer.OURS, layer.UNFOLD), (layer.DEPTHWISE, layer.DEPTHWISE_NCHW)):
        torch.testing.assert_close(outputs[one], outputs[other], rtol=tolerance, atol=tolerance)
    assert {output.dtype for output in outputs.values()} == {dtype}


@SHAPES
def test_the_images_are_in_the_memory_that_the_name_says(shape):
    contenders = layer.contenders(shape, torch.float32, batch=2)
    formats = {
        name: contender.images.is_contiguous(memory_format=torch.channels_last)
        for name, contender in contenders.items()
    }
    assert formats == {layer.OURS: True, layer.DEPTHWISE: True, layer.DEPTHWISE_NCHW: False, layer.UNFOLD: False}


@SHAPES
def test_forward_and_backward_gives_both_gradients(shape):
    contender = layer.contenders(shape, torch.float32, batch=2)[layer.OURS]
    images, weight = layer.forward_backward(contender)()
    assert images.shape == contender.images.shape and weight.shape == contender.weight.shape
    assert images.abs().sum() > 0 and weight.abs().sum() > 0


def test_the_targets_are_for_the_layer_of_the_issue():
    cases = layer.cases(Effort())
    with_targets = {
        case.name: [(goal.target, goal.at_most) for goal in case.goals if goal.target]
        for case in cases
        if any(goal.target for goal in case.goals)
    }
    assert with_targets == {
        "32 x 48 x 48 x 48, stride 1: forward": [(40, False), (2, True)],
        "32 x 48 x 48 x 48, stride 1: forward + backward": [(20, False)],
    }
    assert len({case.name for case in cases}) == len(cases) == 20


def test_every_case_runs():
    for case in layer.cases(QUICK):
        comparison = case.run()
        assert set(comparison.contenders) == {layer.OURS, layer.DEPTHWISE, layer.DEPTHWISE_NCHW, layer.UNFOLD}
        assert [ratio.name for ratio in comparison.ratios] == [f"{goal.top} / {goal.bottom}" for goal in case.goals]
