"""Networks that are shaped for faces: layers and costs of the published tables, operators, and what is refused."""

from functools import partial

import pytest
import torch
from random_weights import randomise
from says import refuses
from torch import nn

from facerec.backbones import IResNet, MobileFaceNet, MobileNetV2
from facerec.backbones.ghostfacenet import GhostFaceNet
from facerec.backbones.mobilenet_v2 import InvertedResidual
from facerec.config.build import build_backbone
from facerec.config.compose import compose
from facerec.cost import measure_cost
from facerec.deploy import reparameterize
from facerec.errors import InputError
from facerec.exporting.deployed_network import export_form
from facerec.operators.depthwise import Depthwise
from facerec.operators.tvconv import TVConv

SIZE = (40, 33)
SmallTVConv = partial(TVConv, generator_channels=4, generator_layers=0)
NETWORKS = {
    "mobilefacenet": partial(MobileFaceNet, 0.25),
    "ghostfacenet": partial(GhostFaceNet, 0.3),
    "iresnet": partial(IResNet, 0.125, depth=18),
}
WITH_OPERATOR = {name: NETWORKS[name] for name in ("mobilefacenet", "ghostfacenet")}
networks = pytest.mark.parametrize("make", NETWORKS.values(), ids=list(NETWORKS))
with_operator = pytest.mark.parametrize("make", WITH_OPERATOR.values(), ids=list(WITH_OPERATOR))


def images(size=SIZE, batch=2):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(0))


def millions(number: int, digits: int = 0) -> str:
    return f"{number / 1e6:.{digits}f}"


def test_mobilefacenet_has_the_layers_of_table_1():
    """Input size, channels and stride of every spatial convolution, read off the table at 112 x 112."""
    seen: list[tuple[int, int, int]] = []
    network = MobileFaceNet(image_size=(112, 112), embedding_dim=128).eval()
    for module in network.features.modules():
        if isinstance(module, Depthwise):
            module.register_forward_hook(lambda m, x, _: seen.append((x[0].shape[2], m.in_channels, m.stride[0])))
    network(images((112, 112)))
    table = [(56, 64, 1), (56, 128, 2), *[(28, 128, 1)] * 4, (28, 256, 2), *[(14, 256, 1)] * 6, (14, 512, 2)]
    assert seen == [*table, *[(7, 256, 1)] * 2]
    assert network.embed[0].weight.shape == (512, 1, 7, 7)  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(("side", "published"), [(112, "221")])
def test_mobilefacenet_costs_the_multiply_adds_of_its_paper(side, published):
    cost = measure_cost(MobileFaceNet(image_size=(side, side), embedding_dim=128), (side, side))
    assert millions(cost.macs_core) == published
    assert 0.98 <= cost.params / 1e6 <= 1.01  # 0.99 without some of the normalisations


@pytest.mark.parametrize("divisor", [1, 4, 8])
@pytest.mark.parametrize("make", [MobileFaceNet, MobileNetV2])
def test_channel_counts_are_the_nearest_multiples_of_the_divisor(make, divisor):
    """64 * 0.3 = 19.2 and 128 * 0.3 = 38.4 channels; 32 * 0.3 = 9.6, 16 * 0.3 = 4.8 and so on of MobileNetV2.

    8 for 9.6 is less than nine tenths of it, so it is 16.
    """
    nearest = {
        MobileFaceNet: {1: [19, 38], 4: [20, 40], 8: [24, 40]},
        MobileNetV2: {1: [5, 7, 10, 19, 29, 48, 96], 4: [8, 12, 20, 28, 48, 96], 8: [8, 16, 24, 32, 48, 96]},
    }
    network = make(0.3, image_size=SIZE, channel_divisor=divisor)
    blocks = [each for each in network.modules() if isinstance(each, InvertedResidual)]
    found = {block.layers[-2].out_channels for block in blocks} | {network.features[0].out_channels}
    assert sorted(found) == nearest[make][divisor]


@pytest.mark.parametrize("make", [MobileFaceNet, MobileNetV2])
def test_a_divisor_that_is_no_count_is_refused(make):
    with refuses("channel_divisor", "0", "at least 1", error=ValueError):
        make(0.3, image_size=SIZE, channel_divisor=0)


@pytest.mark.parametrize(("depth", "parameters"), [(18, "24.0"), (50, "43.6"), (100, "65.2")])
def test_iresnet_has_the_parameters_of_the_published_one(depth, parameters):
    assert millions(sum(p.numel() for p in IResNet(image_size=(112, 112), depth=depth).parameters()), 1) == parameters


def test_iresnet50_costs_the_published_multiply_adds():
    assert f"{measure_cost(IResNet(image_size=(112, 112)), (112, 112)).macs_paper / 1e9:.2f}" == "6.33"


def test_ghostfacenet_is_within_two_percent_of_the_published_cost():
    """216 and 60 million multiply-adds of width 1.3, counted by another program; 4.09 million parameters."""
    for stem_stride, published in ((1, 216e6), (2, 60.3e6)):
        cost = measure_cost(GhostFaceNet(1.3, stem_stride=stem_stride, image_size=(112, 112)), (112, 112))
        assert cost.macs_core == pytest.approx(published, rel=0.02)
        assert cost.params == pytest.approx(4.09e6, rel=0.02)


@networks
def test_every_parameter_learns_and_the_exported_form_gives_the_same(make):
    torch.manual_seed(0)
    network = make(image_size=SIZE, embedding_dim=8)
    embeddings = network(images(batch=4))
    (embeddings * torch.randn(4, 8)).sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in silent if name != "embed.3.bias"] == []
    randomise(network).eval()
    pixels = torch.randint(0, 256, (2, *SIZE, 3), dtype=torch.uint8)
    expected = network((pixels.permute(0, 3, 1, 2).float() - 127.5) / 127.5)
    tolerance = 1e-3 * expected.abs().max().item()
    torch.testing.assert_close(export_form(network)(pixels), expected, rtol=1e-3, atol=tolerance)


@networks
@pytest.mark.parametrize("size", [(32, 32), (33, 50), (112, 96)], ids=str)
def test_any_image_of_at_least_the_total_stride_fits(make, size):
    assert make(image_size=size, embedding_dim=8).eval()(images(size)).shape == (2, 8)
    with refuses(f"{size[0]}x{size[1]}", "32x31"):
        make(image_size=size, embedding_dim=8)(images((32, 31)))


@with_operator
def test_an_operator_stands_for_every_depthwise_convolution_at_its_cost(make):
    plain, ours = make(image_size=SIZE, embedding_dim=8), make(operator=SmallTVConv, image_size=SIZE, embedding_dim=8)
    assert measure_cost(ours, SIZE).macs_core == measure_cost(plain, SIZE).macs_core
    spatial = [m for m in ours.features.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert spatial == [] and any(isinstance(module, TVConv) for module in ours.modules())
    randomise(ours).eval()
    torch.testing.assert_close(reparameterize(ours)(images()), ours(images()), rtol=1e-3, atol=1e-3)


def test_mobilefacenet_uses_the_operator_in_the_stages_that_are_named():
    network = MobileFaceNet(0.25, SmallTVConv, SIZE, 8, operator_stages=[1, 6])
    assert len([module for module in network.modules() if isinstance(module, TVConv)]) == 1 + 2
    with refuses("7", "1 to 6", "MobileFaceNet"):
        MobileFaceNet(operator_stages=[7])


def test_ghostfacenet_uses_the_operator_where_the_pattern_matches():
    network = GhostFaceNet(0.3, SmallTVConv, SIZE, 8, where="*.conv_dw")
    assert len([module for module in network.modules() if isinstance(module, TVConv)]) == 4  # blocks of stride 2


@pytest.mark.parametrize(
    ("make", "facts"),
    [
        (lambda: IResNet(depth=20), ("depth", "20", "18, 34, 50, 100")),
        (lambda: GhostFaceNet(stem_stride=3), ("stem_stride", "3", "1, 2")),
        (lambda: MobileFaceNet(0), ("width", "0")),
        (lambda: IResNet(pooling="max"), ("pooling", "max")),
        (lambda: GhostFaceNet(activation="gelu"), ("activation", "gelu")),
    ],
    ids=["depth", "stem_stride", "width", "pooling", "activation"],
)
def test_an_argument_outside_its_values_is_refused(make, facts):
    with refuses(*facts):
        make()


@pytest.mark.parametrize("name", list(NETWORKS))
def test_each_is_an_option_of_the_configuration(name):
    network = build_backbone(compose([f"backbone={name}", "width=0.25", "image_size=32", "embedding_dim=8"]))
    assert network.eval()(images((32, 32))).shape == (2, 8)


def test_iresnet_has_no_operator_to_choose():
    with pytest.raises(InputError, match="IResNet has no spatial operator"):
        build_backbone(compose(["backbone=iresnet", "operator=depthwise"]))
