"""Both backbones: widths and map sizes of the published tables, the operator's place, and what is refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_weights import randomise
from says import refuses
from torch import nn

from facerec.backbones import MobileNetV2, ShuffleNetV2
from facerec.operators.depthwise import Depthwise

BACKBONES = pytest.mark.parametrize("backbone", [MobileNetV2, ShuffleNetV2])

# Channels of the spatial convolutions, layer by layer.
MOBILENET_WIDTHS = {
    0.1: [8] + [48] * 10 + [96] * 6,
    0.2: [8] + [48] * 6 + [96] * 4 + [144] * 3 + [192] * 3,
    0.3: [16, 48, 48, 48, 96, 96, 96, 144, 144, 144, 144, 192, 192, 192, 288, 288, 288],
    0.5: [16, 48, 96, 96, 96, 96, 96, 192, 192, 192, 192, 288, 288, 288, 480, 480, 480],
    1.0: [32, 96, 144, 144, 192, 192, 192, 384, 384, 384, 384, 576, 576, 576, 960, 960, 960],
}
MOBILENET_STRIDES = [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]
MOBILENET_STAGES = [1] + [2] * 2 + [3] * 3 + [4] * 4 + [5] * 3 + [6] * 3 + [7]
# Both branches of the first unit of a stage halve the map; the shortcut's keeps the channels of the stage before.
SHUFFLENET_WIDTHS = {
    0.5: [24, 24, 24, 24, 24] + [48] * 9 + [96] * 5,
    1.0: [24, 58, 58, 58, 58] + [116] * 9 + [232] * 5,
    1.5: [24, 88, 88, 88, 88] + [176] * 9 + [352] * 5,
}
SHUFFLENET_STRIDES = [2, 2, 1, 1, 1] + [2, 2] + [1] * 7 + [2, 2, 1, 1, 1]
SHUFFLENET_STAGES = [2] * 5 + [3] * 9 + [4] * 5
ROWS = [
    *((MobileNetV2, width, channels, MOBILENET_STRIDES) for width, channels in MOBILENET_WIDTHS.items()),
    *((ShuffleNetV2, width, channels, SHUFFLENET_STRIDES) for width, channels in SHUFFLENET_WIDTHS.items()),
]
STAGES = {MobileNetV2: MOBILENET_STAGES, ShuffleNetV2: SHUFFLENET_STAGES}


class Spy:
    """An operator that notes how it is called, and checks its maps when it runs."""

    def __init__(self):
        self.calls = []

    def __call__(self, channels, stride=1, out_size=None):
        self.calls.append((channels, stride, out_size))
        module = Depthwise(channels, stride)
        module.register_forward_hook(lambda _, inputs, out: self.check(inputs[0], out, channels, stride, out_size))
        return module

    @staticmethod
    def check(x, out, channels, stride, out_size):
        assert tuple(out.shape[1:]) == (channels, *out_size)
        assert tuple(-(-side // stride) for side in x.shape[2:]) == out_size


def images(size, batch=2):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("backbone", "width", "channels", "strides"), ROWS)
def test_operators_have_the_channels_and_strides_of_the_published_networks(backbone, width, channels, strides):
    spy = Spy()
    backbone(width, spy, (96, 96))
    assert [call[:2] for call in spy.calls] == list(zip(channels, strides, strict=True))


def map_sizes(backbone, size):
    spy = Spy()
    network = backbone(0.1, spy, size, embedding_dim=8).eval()
    assert network(images(size)).shape == (2, 8)
    return [out_size for _, _, out_size in spy.calls]


def sizes_by_stage(backbone, stage_sizes):
    return [stage_sizes[stage] for stage in STAGES[backbone]]


@pytest.mark.parametrize(
    ("backbone", "size", "stage_sizes"),
    [
        (
            MobileNetV2,
            (96, 96),
            {1: (96, 96), 2: (48, 48), 3: (24, 24), 4: (12, 12), 5: (12, 12), 6: (6, 6), 7: (6, 6)},
        ),
        (MobileNetV2, (70, 50), {1: (70, 50), 2: (35, 25), 3: (18, 13), 4: (9, 7), 5: (9, 7), 6: (5, 4), 7: (5, 4)}),
        (MobileNetV2, (16, 17), {1: (16, 17), 2: (8, 9), 3: (4, 5), 4: (2, 3), 5: (2, 3), 6: (1, 2), 7: (1, 2)}),
        (ShuffleNetV2, (96, 96), {2: (24, 24), 3: (12, 12), 4: (6, 6)}),
        (ShuffleNetV2, (70, 50), {2: (18, 13), 3: (9, 7), 4: (5, 4)}),
        (ShuffleNetV2, (16, 17), {2: (4, 5), 3: (2, 3), 4: (1, 2)}),
    ],
    ids=str,
)
def test_operators_are_told_the_true_size_of_their_output(backbone, size, stage_sizes):
    assert map_sizes(backbone, size) == sizes_by_stage(backbone, stage_sizes)


@BACKBONES
@settings(max_examples=15, deadline=None)
@given(size=st.tuples(st.integers(16, 60), st.integers(16, 60)))
def test_any_image_of_at_least_the_total_stride_fits(backbone, size):
    assert map_sizes(backbone, size)[-1] == ((size[0] + 15) // 16, (size[1] + 15) // 16)


@BACKBONES
@settings(max_examples=15, deadline=None)
@given(width=st.floats(0.05, 2.5))
def test_any_width_builds_and_embeds(backbone, width):
    network = backbone(width, image_size=(20, 16), embedding_dim=8)
    assert network(images((20, 16))).shape == (2, 8)


@BACKBONES
def test_embeddings_have_the_dimension_that_is_asked_for(backbone):
    for dim in (512, 32):
        network = backbone(0.5, image_size=(32, 32), embedding_dim=dim).eval()
        assert network(images((32, 32))).shape == (2, dim) == (2, network.embedding_dim)


@BACKBONES
def test_the_last_map_has_as_many_channels_as_published(backbone):
    for width in (0.1, 1.0):
        features = backbone(width, image_size=(32, 32)).eval().features(images((32, 32)))
        assert features.shape == (2, {MobileNetV2: 512, ShuffleNetV2: 1024}[backbone], 2, 2)
    wide = MobileNetV2(1.5, image_size=(16, 16)).features
    assert [layer.out_channels for layer in wide if isinstance(layer, nn.Conv2d)] == [48, 768]


@BACKBONES
@pytest.mark.parametrize("stages", [None, [2], [3, 4], (4, 2)], ids=str)
def test_only_the_stages_that_are_named_use_the_operator(backbone, stages):
    every, some = Spy(), Spy()
    backbone(0.5, every, (32, 32))
    network = backbone(0.5, some, (32, 32), operator_stages=stages)
    chosen = [stages is None or stage in stages for stage in STAGES[backbone]]
    assert some.calls == [call for call, wanted in zip(every.calls, chosen, strict=True) if wanted]
    spatial = [module for module in network.modules() if isinstance(module, Depthwise)]
    assert [len(module._forward_hooks) == 1 for module in spatial] == chosen
    assert network.eval()(images((32, 32))).shape == (2, 512)


@BACKBONES
@pytest.mark.parametrize("unknown", [[9], [0, 8], [-1]], ids=str)
def test_a_stage_that_does_not_exist_is_refused(backbone, unknown):
    stages = {MobileNetV2: "1 to 7", ShuffleNetV2: "2 to 4"}[backbone]
    with refuses(str(unknown), backbone.__name__, str(stages)):
        backbone(operator_stages=[2, *unknown])


@BACKBONES
@pytest.mark.parametrize("stages", [5, [], "5"], ids=str)
def test_stages_that_are_no_list_of_any_are_refused(backbone, stages):
    last = {MobileNetV2: 7, ShuffleNetV2: 4}[backbone]
    with refuses("operator_stages", f"[{last}]", "null", repr(stages)):
        backbone(operator_stages=stages)


@BACKBONES
@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"width": 0}, ("width", "positive", "0")),
        ({"width": -1.0}, ("width", "positive", "-1.0")),
        ({"embedding_dim": 0}, ("embedding_dim", "1", "0")),
        (
            {"image_size": [15, 96]},
            ("image_size", "16", "(15, 96)"),
        ),
        (
            {"image_size": [96]},
            ("image_size", "16", "(96,)"),
        ),
    ],
    ids=str,
)
def test_arguments_out_of_range_are_refused_in_a_sentence(backbone, arguments, facts):
    with refuses(*facts):
        backbone(**arguments)


def test_a_width_without_a_channel_is_refused():
    with refuses("width", "0.01", "ShuffleNetV2", "0.001"):
        ShuffleNetV2(0.001)
    assert ShuffleNetV2(0.01, image_size=(16, 16)).eval()(images((16, 16))).shape == (2, 512)


@BACKBONES
def test_gradient_reaches_every_parameter(backbone):
    torch.manual_seed(0)
    network = backbone(0.5, image_size=(32, 32))
    (network(images((32, 32), batch=4)) * torch.randn(4, 512)).sum().backward()
    # Batch normalisation takes out the linear layer's bias, and so its gradient.
    silent = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert [name for name in silent if not name.startswith("embed.3.bias")] == []


@BACKBONES
def test_channels_last_gives_the_same_embeddings(backbone):
    torch.manual_seed(0)
    network = randomise(backbone(0.5, image_size=(34, 22), embedding_dim=8)).eval()
    expected = network(images((34, 22)))
    network.to(memory_format=torch.channels_last)
    last = images((34, 22)).to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(last), expected, rtol=1e-4, atol=1e-4)
    assert network.features(last).is_contiguous(memory_format=torch.channels_last)


@BACKBONES
def test_an_image_larger_than_the_networks_is_refused(backbone):
    with refuses("96x96", "112x112"):
        backbone(0.5, image_size=(96, 96)).eval()(images((112, 112)))
